"use strict";
// Slices: the metric, or the cost, of the completed trials against one option at a time.

const slicePlots = new Map();  // by the column of an option

const sliced = () => differing().filter(option => option.name !== "seed");

function sliceAxis({name, column, range, texts}) {
  if (!range) {
    const short = text => text.length > 14 ? text.slice(0, 13) + "…" : text;
    return {label: name, domain: [-0.5, texts.length - 0.5], ticks: [...texts.keys()],
      format: i => short(texts[i]), value: placeOn(column, texts)};
  }
  const log = range[0] > 0 && range[1] / range[0] > 30;
  return {label: name + (log ? " (log)" : ""), domain: extent(range, log), log,
    format: v => amount(v, 3), value: placeOn(column, null)};
}

/** What is drawn up: a column, its label, a text for a value. */
function slicedQuantity() {
  const metric = metricAxis(state.y) ?? study.metric, cost = costAxis(state.x) ?? study.cost;
  return state.slice === "x" ? {column: cost.column, label: cost.label, text: x => amount(x), log: state.log} :
    {column: metric.column, label: metric.label, text: x => measured(x, metric), log: false};
}

function drawSlices() {
  const {column, label, text, log} = slicedQuantity();
  const done = shown().filter(t => t.status === "completed" && isFinite(t[column] ?? NaN) && (!log || t[column] > 0));
  const domain = extent(done.map(t => t[column]), log) ?? [log ? 1 : 0, 10];
  const format = state.slice === "x" ? x => amount(x, 3) : tickText(domain);
  for (const option of sliced()) {
    const axis = sliceAxis(option);
    const points = done.filter(t => axis.value(t) !== null).map(t => ({
      x: axis.value(t), y: t[column], trials: [t],
      tip: () => `trial ${t.trial_id}\n${option.name} = ${optionText(t[option.column])}\n${bare(label)} ${text(t[column])}`,
    }));
    slicePlots.get(option.column).show({
      x: axis, y: {label: bare(label), domain, log, format}, points,
      paint: (ctx, plot) => paintSlice(ctx, plot, points, !option.range),
      paintOver: (ctx, plot) => drawSelected(ctx, plot, points),
    });
  }
}

/** The trials, those of the front as stars, and with `medians` a dash at the median of each value. */
function paintSlice(ctx, plot, points, medians) {
  ctx.fillStyle = color("--muted");
  ctx.globalAlpha = Math.max(0.2, Math.min(0.8, 12 / Math.sqrt(points.length)));
  for (const p of points) {
    ctx.beginPath();
    ctx.arc(plot.scaleX(p.x), plot.scaleY(p.y), 4, 0, 2 * Math.PI);
    ctx.fill();
  }
  ctx.globalAlpha = 1;
  const values = new Map();
  for (const p of medians ? points : []) {
    if (!values.has(p.x)) values.set(p.x, []);
    values.get(p.x).push(p.y);
  }
  ctx.strokeStyle = color("--text");
  ctx.lineWidth = 2;
  for (const [x, ys] of values) {
    const sorted = ys.sort((a, b) => a - b), half = sorted.length / 2;
    const at = plot.scaleY((sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2);
    plot.line(ctx, plot.scaleX(x) - 12, at, plot.scaleX(x) + 12, at);
  }
  for (const p of points) {
    if (p.trials[0].optimal) mark(ctx, plot.scaleX(p.x), plot.scaleY(p.y), {shape: "star", fill: color("--accent")});
  }
}

/** A plot for each option; those that are there stay, also on a live page. */
function showSlices() {
  const options = sliced(), host = element("slices");
  element("slices-card").hidden = trials.length < 2 || !options.length;
  fillChoice(element("slice"), [["y", (metricAxis(state.y) ?? study.metric).label],
    ["x", (costAxis(state.x) ?? study.cost).label]]);
  element("slice").value = state.slice;
  for (const {name, column} of options) {
    if (slicePlots.has(column)) continue;
    const place = add(host, "div", "", "plot");
    place.id = `slice-${slicePlots.size}`;
    slicePlots.set(column, new Plot(place.id, `Trials by ${name}`, {
      picked: (point, more) => { if (point) choose(point.trials, more); },
    }));
  }
  const there = new Set(options.map(option => option.column));
  for (const [column, plot] of slicePlots) plot.host.hidden = !there.has(column);
}

function setUpSlices() {
  element("slice").onchange = () => change({slice: element("slice").value});
  view(["study", "x", "y", "slice"], showSlices);
  view(["status", "options", "x", "y", "log", "slice"], drawSlices, "slices");
  view(["selected"], () => { for (const plot of slicePlots.values()) if (plot.spec) plot.drawOver(); });
}
