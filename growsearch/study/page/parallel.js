"use strict";
// Parallel coordinates: an axis for each option that differs, for the cost and for the metric.

const parallelPlot = {host: null, canvas: null, over: null, axes: [], from: null};

/** The axes: {name, column, text values or a range}. */
function parallelAxes() {
  const columns = differing().map(f => ({name: f.name, column: f.column, texts: f.range ? null : f.texts}));
  for (const [column, label] of [[state.x, (costAxis(state.x) ?? study.cost).label],
    [state.y, (metricAxis(state.y) ?? study.metric).label]]) columns.push({name: label, column, texts: null});
  return columns.map(axis => {
    const domain = axis.texts ? [-0.5, axis.texts.length - 0.5] :
      extent(trials.map(t => t[axis.column] ?? null), false, 0.03) ?? [0, 1];
    return {...axis, domain, value: placeOn(axis.column, axis.texts)};
  });
}

/** A cleared canvas, as large as the plot. */
function parallelContext(canvas) {
  const {width, height} = parallelPlot.host.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const ctx = canvas.getContext("2d");
  ctx.scale(ratio, ratio);
  ctx.font = FONT;
  return {ctx, width, height};
}

/** The lines of all trials; the axes and the selected trials are on a canvas above. */
function drawParallel() {
  const {ctx, width, height} = parallelContext(parallelPlot.canvas);
  Object.assign(parallelPlot, {width, height});
  if (!width) return;
  const axes = parallelPlot.axes = parallelAxes();
  const [top, bottom] = [40, height - 12], side = Math.min(60, width / (2 * axes.length));
  axes.forEach((axis, i) => {
    axis.at = side + i * (width - 2 * side) / Math.max(axes.length - 1, 1);
    axis.scale = v => bottom - (v - axis.domain[0]) / (axis.domain[1] - axis.domain[0]) * (bottom - top);
    axis.back = y => axis.domain[0] + (bottom - y) / (bottom - top) * (axis.domain[1] - axis.domain[0]);
  });
  const kept = new Set(shown());
  const order = [...trials].sort((a, b) => kept.has(a) - kept.has(b));
  const values = shown().map(t => t[state.y]).filter(v => v !== null && v !== undefined);
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const flip = (metricAxis(state.y) ?? study.metric).minimized;
  const shades = new Map();  // as the canvas has them: it reads a mixed colour slowly
  const shade = percent => {
    if (!shades.has(percent)) {
      ctx.strokeStyle = `color-mix(in srgb, ${color("--c1")} ${percent}%, ${color("--c5")})`;
      shades.set(percent, ctx.strokeStyle);
    }
    return shades.get(percent);
  };
  for (const t of order) {
    const share = ((t[state.y] ?? (flip ? high : low)) - low) / ((high - low) || 1);
    const good = flip ? 1 - share : share;
    ctx.strokeStyle = kept.has(t) ? shade(Math.round(100 * good)) : color("--line");
    ctx.globalAlpha = kept.has(t) ? Math.max(0.12, Math.min(0.8, 60 / Math.sqrt(kept.size) / 10)) : 0.35;
    ctx.lineWidth = 1.2;
    parallelLine(ctx, axes, t);
  }
  ctx.globalAlpha = 1;
  drawParallelOver();
}

function drawParallelOver() {
  const {ctx, width, height} = parallelContext(parallelPlot.over), {axes} = parallelPlot;
  if (!width || !axes.length) return;
  for (const [place, t] of state.selected.slice(0, 64).entries()) {
    ctx.strokeStyle = styleOf(place).fill;
    ctx.lineWidth = 2.5;
    ctx.setLineDash(styleOf(place).dash);
    parallelLine(ctx, axes, t);
  }
  ctx.setLineDash([]);
  axes.forEach((axis, i) => parallelAxis(ctx, axis, i, axes.length, 40, height - 12, width));
}

function parallelLine(ctx, axes, t) {
  ctx.beginPath();
  let pen = false;
  for (const axis of axes) {
    const value = axis.value(t);
    if (value === null || value === undefined) { pen = false; continue; }
    ctx[pen ? "lineTo" : "moveTo"](axis.at, axis.scale(value));
    pen = true;
  }
  ctx.stroke();
}

function parallelAxis(ctx, axis, place, count, top, bottom, width) {
  ctx.strokeStyle = color("--edge");
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(axis.at, top);
  ctx.lineTo(axis.at, bottom);
  ctx.stroke();
  const room = width / count - 6;
  ctx.textBaseline = "middle";
  ctx.textAlign = place === 0 ? "left" : place === count - 1 ? "right" : "center";
  const edge = place === 0 ? 4 : place === count - 1 ? width - 4 : axis.at;
  ctx.fillStyle = color("--text");
  const name = shortened(ctx, axis.name, place % count === 0 || place === count - 1 ? room * 0.8 : room);
  ctx.fillText(name, edge, 12);
  ctx.textAlign = place === count - 1 ? "right" : "left";
  const side = place === count - 1 ? -6 : 6;
  const ticks = axis.texts ? axis.texts.map((text, i) => [i, text]) :
    linearTicks(...axis.domain, 5).map(v => [v, amount(v, 3)]);
  const step = Math.ceil(ticks.length / Math.max(2, (bottom - top) / 15));
  for (const [value, text] of ticks.filter((_, i) => i % step === 0)) {
    const shownText = shortened(ctx, text, room - 12), w = ctx.measureText(shownText).width;
    ctx.globalAlpha = 0.75;
    ctx.fillStyle = color("--card");
    ctx.fillRect(side > 0 ? axis.at + 4 : axis.at - w - 8, axis.scale(value) - 7, w + 4, 14);
    ctx.globalAlpha = 1;
    ctx.fillStyle = color("--soft");
    ctx.fillText(shownText, axis.at + side, axis.scale(value));
  }
  const band = bandOf(axis);
  if (band) {
    ctx.fillStyle = color("--accent");
    ctx.globalAlpha = 0.3;
    ctx.fillRect(axis.at - 6, axis.scale(band[1]), 12, axis.scale(band[0]) - axis.scale(band[1]));
    ctx.globalAlpha = 1;
  }
}

/** The text, cut so that it fits. */
function shortened(ctx, text, room) {
  if (ctx.measureText(text).width <= room) return text;
  let n = text.length;
  while (n > 1 && ctx.measureText(text.slice(0, n) + "…").width > room) n--;
  return text.slice(0, n) + "…";
}

/** The part of an axis that the filter keeps, for the drawing. */
function bandOf(axis) {
  const {from} = parallelPlot;
  if (from?.axis === axis.column && from.y1 !== undefined) {
    return [from.y0, from.y1].map(axis.back).sort((a, b) => a - b);
  }
  const rule = state.options[axis.column];
  if (!rule) return null;
  if (rule.values && axis.texts) {
    const kept = axis.texts.flatMap((text, i) => rule.values.includes(text) ? [i] : []);
    return kept.length ? [Math.min(...kept) - 0.4, Math.max(...kept) + 0.4] : null;
  }
  return [Math.max(rule.from ?? -Infinity, axis.domain[0]), Math.min(rule.to ?? Infinity, axis.domain[1])];
}

/** Makes the dragged part of an axis a rule of the filter. */
function brushParallel({axis: column, y0, y1}) {
  const axis = parallelPlot.axes.find(a => a.column === column);
  if (y1 === undefined || Math.abs(y1 - y0) < 4) return setRule(column, null);
  const [low, high] = [y0, y1].map(axis.back).sort((a, b) => a - b);
  return setRule(column, axis.texts ?
    {values: axis.texts.filter((_, i) => i >= low && i <= high)} :
    {from: +low.toPrecision(6), to: +high.toPrecision(6)});
}

/** Shows the card if there is anything to compare. */
function showParallel() {
  element("parallel-card").hidden = trials.length < 2 || !filterable.length;
  parallelPlot.host.style.minWidth = 84 * parallelAxes().length + "px";
}

function setUpParallel() {
  const host = parallelPlot.host = element("parallel");
  parallelPlot.canvas = add(host, "canvas");
  parallelPlot.over = add(host, "canvas", "", "over");
  host.setAttribute("role", "img");
  host.setAttribute("aria-label", "Parallel coordinates of the trials' options, cost and metric. " +
    "The filter above does the same with the keyboard.");
  const at = event => {
    const box = host.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  host.addEventListener("pointerdown", event => {
    const [x, y] = at(event);
    const axis = parallelPlot.axes.reduce((a, b) => Math.abs(b.at - x) < Math.abs(a.at - x) ? b : a);
    if (Math.abs(axis.at - x) > 24) return;
    parallelPlot.from = {axis: axis.column, y0: y};
    host.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  host.addEventListener("pointermove", event => {
    if (!parallelPlot.from) return;
    parallelPlot.from.y1 = at(event)[1];
    requestAnimationFrame(drawParallelOver);
  });
  host.addEventListener("pointerup", () => {
    const {from} = parallelPlot;
    parallelPlot.from = null;
    if (from) brushParallel(from);
  });
  resized(host, parallelPlot, drawParallel);
  view(["study"], showParallel);
  view(["status", "options", "x", "y"], drawParallel, "parallel");
  view(["selected"], drawParallelOver);
}
