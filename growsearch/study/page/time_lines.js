"use strict";
// A line a trial: its depth in each epoch, and its growths. Only the lines that are seen are drawn.

const LINE = 16;  // pixels from one trial to the next
const AXIS = 34;

/** The architectures from the shallowest to the deepest, by their parameters. */
let depthOrder;
derive(() => {
  const {architecture, architectures, numbers} = study.curves, size = new Array(architectures.length).fill(0);
  architecture.forEach((a, i) => { size[a] = numbers.parameters?.[i] ?? a; });
  const order = architectures.map((_, a) => a).sort((a, b) => size[a] - size[b]);
  const rank = [];
  order.forEach((a, place) => { rank[a] = place; });
  depthOrder = {order, rank};
});

/** One hue, from pale to full, so that order is seen without telling hues apart. */
function depthColor(architecture) {
  const share = (depthOrder.rank[architecture] + 1) / depthOrder.order.length;
  return `color-mix(in srgb, ${color("--c1")} ${Math.round(15 + 80 * share)}%, ${color("--card")})`;
}

const linesBox = {canvas: null, scroll: null, inner: null};

function drawLines() {
  const {canvas, scroll} = linesBox, host = element("lines");
  const rows = tableRows, longest = Math.max(1, ...study.curves.lengths);
  host.style.height = Math.min(rows.length * LINE + AXIS + 8, 420) + "px";
  linesBox.inner.style.height = rows.length * LINE + "px";
  const {width, height} = host.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  Object.assign(linesBox, {width, height});
  if (!width) return;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const ctx = canvas.getContext("2d");
  ctx.scale(ratio, ratio);
  ctx.font = FONT;
  ctx.textBaseline = "middle";
  const names = rows.slice(0, 300).map(t => ctx.measureText(t.trial_id).width);
  linesBox.left = Math.min(Math.max(...names, 20) + 16, width / 3);
  linesBox.step = (width - linesBox.left - 16) / longest;
  const from = Math.floor(scroll.scrollTop / LINE), seen = Math.ceil((height - AXIS) / LINE) + 1;
  const places = new Map(state.selected.map((t, place) => [t, place]));
  ctx.save();
  ctx.beginPath();
  ctx.rect(0, 0, width, height - AXIS);
  ctx.clip();
  rows.slice(from, from + seen).forEach((t, i) => {
    drawLine(ctx, t, (from + i) * LINE - scroll.scrollTop, places.get(t));
  });
  ctx.restore();
  drawLinesAxis(ctx, longest, width, height);
}

function drawLine(ctx, t, top, place) {
  const {left, step} = linesBox, depths = curveOf(t, "architecture");
  ctx.textAlign = "right";
  ctx.fillStyle = place === undefined ? color("--soft") : styleOf(place).fill;
  ctx.fillText(t.trial_id, left - 8, top + LINE / 2, left - 10);
  for (let i = 0; i < depths.length;) {
    let end = i + 1;
    while (end < depths.length && depths[end] === depths[i]) end++;
    ctx.fillStyle = depthColor(depths[i]);
    ctx.fillRect(left + i * step, top + 2, (end - i) * step, LINE - 4);
    i = end;
  }
  for (const e of growthsOf(t)) {
    mark(ctx, left + e * step, top + LINE / 2, {shape: "diamond", radius: 3, fill: color("--growth")});
  }
  if (t.status !== "completed") {
    mark(ctx, left + depths.length * step + 7, top + LINE / 2, {radius: 4, ...otherShape(t)});
  }
  if (place !== undefined) {
    ctx.strokeStyle = styleOf(place).fill;
    ctx.lineWidth = 2;
    ctx.strokeRect(left, top + 2, depths.length * step, LINE - 4);
  }
}

const otherShape = t => {
  const {shape, color: name} = MARKS[t.status] ?? MARKS.waiting;
  return {shape, fill: color(name)};
};

function drawLinesAxis(ctx, longest, width, height) {
  const {left, step} = linesBox;
  ctx.fillStyle = color("--soft");
  ctx.textAlign = "center";
  for (const tick of linearTicks(0, longest, Math.max(3, width / 110)).filter(Number.isInteger)) {
    ctx.fillText(String(tick), left + tick * step, height - AXIS + 10);
  }
  ctx.fillStyle = color("--text");
  ctx.fillText("epoch", (left + width) / 2, height - 8);
}

function lineAt(event) {
  const box = element("lines").getBoundingClientRect();
  const y = event.clientY - box.top;
  return y > box.height - AXIS ? null : tableRows[Math.floor((y + linesBox.scroll.scrollTop) / LINE)] ?? null;
}

function setUpLines() {
  const host = element("lines");
  linesBox.canvas = add(host, "canvas");
  linesBox.canvas.setAttribute("aria-hidden", "true");
  const scroll = linesBox.scroll = add(host, "div", "", "lines-scroll");
  linesBox.inner = add(scroll, "div");
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "img");
  scroll.setAttribute("aria-label",
    "A time line for each trial: its depth in each epoch. The table below has the epochs of the growths.");
  scroll.addEventListener("scroll", () => requestAnimationFrame(drawLines));
  scroll.addEventListener("pointermove", event => {
    const t = lineAt(event);
    if (!t) return hideTip();
    const grown = growthsOf(t);
    return showTip(`trial ${t.trial_id}\n${shortDepths(t)}\n` +
      (grown.length ? `grew after epochs ${inWords(grown)}` : "never grew"), event.clientX, event.clientY);
  });
  scroll.addEventListener("pointerleave", hideTip);
  scroll.addEventListener("click", event => {
    const t = lineAt(event);
    if (t) choose([t], event.shiftKey || event.ctrlKey || event.metaKey);
  });
  resized(host, linesBox, drawLines);
  element("lines-text").textContent = "A line is a trial, in the order of the table; its colour is fuller " +
    "where the network is deeper. Diamonds mark growths. Click a line to see its curve.";
  view(["study"], () => { element("lines-card").hidden = !trials.length; });
  view(["status", "options", "sort", "selected"], () => {
    drawLines();
    const few = depthOrder.order.length <= 8 ? depthOrder.order :
      [depthOrder.order[0], depthOrder.order[depthOrder.order.length - 1]];
    legend("lines-legend", [...few.map(a => ({text: study.curves.architectures[a], shape: "square",
      fill: depthColor(a)})), {text: "growth", shape: "diamond", fill: color("--growth")}]);
  });
}

