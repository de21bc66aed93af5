"use strict";
// The plot of the trials: a cost across, a metric up, the front, the knee.

// Marks of the trials that did not complete.
const MARKS = {
  stopped: {shape: "corner", color: "--stopped"},
  paused: {shape: "square", color: "--paused"},
  running: {shape: "diamond", color: "--paused"},
  waiting: {shape: "diamond", color: "--muted"},
  diverged: {shape: "x", color: "--bad"},
  failed: {shape: "cross", color: "--bad"},
};
const COLORS = 8;
const DASHES = [[1000, 0], [7, 4], [2, 3], [10, 3, 2, 3]];

/** How the selected trial at this place is drawn everywhere. */
const styleOf = place => ({
  fill: color(`--c${place % COLORS + 1}`), dash: DASHES[Math.floor(place / COLORS) % DASHES.length],
});

const isBounded = t => t.status === "stopped" && bound(t, state.x) !== null &&
  bound(t, state.y) !== null;

const drawable = (x, y) => x !== null && x !== undefined && y !== null && y !== undefined &&
  isFinite(x) && isFinite(y);

/** The completed ones of the trials as points {x, y, trials, sx, sy}: seeds together, or apart. */
function pointsOf(list, x, y, together) {
  const done = list.filter(t => t.status === "completed" && drawable(t[x], t[y]));
  const single = t => ({x: t[x], y: t[y], sx: 0, sy: 0, trials: [t]});
  if (!together) return done.map(single);
  const groups = new Map();
  for (const t of done) groups.set(t.group, [...(groups.get(t.group) ?? []), t]);
  return [...groups.values()].map(members => {
    const xs = members.map(t => t[x]), ys = members.map(t => t[y]);
    return {x: rounded(mean(xs)), y: rounded(mean(ys)), sx: deviation(xs), sy: deviation(ys), trials: members};
  });
}

const scaleOfCost = () => state.log ? Math.log : x => x;

/** All that the plot shows of the present state. */
function frontLayout() {
  const metric = metricAxis(state.y) ?? study.metric, log = state.log;
  const all = pointsOf(shown(), state.x, state.y, state.seeds);
  const points = log ? all.filter(p => p.x > 0) : all;
  const front = frontOf(points, metric);
  const opened = state.seeds && state.open !== null ? pointsOf(
    shown().filter(t => t.group === state.open), state.x, state.y, false) : [];
  const inner = [...points, ...opened];
  const others = shown().filter(t => t.status !== "completed").flatMap(t => {
    const bounded = isBounded(t);
    const [x, y] = bounded ? [bound(t, state.x), bound(t, state.y)] : [t[state.x], t[state.y]];
    return drawable(x, y) && (!log || x > 0) ? [{x, y, trials: [t], bounded}] : [];
  });
  // only completed trials set the limits, so that bounds far away do not squeeze the front
  const setting = inner.length ? inner : others;
  const spread = (p, axis) => [p[axis] - (p["s" + axis] ?? 0), p[axis] + (p["s" + axis] ?? 0)];
  const domainX = extent(setting.flatMap(p => spread(p, "x")), log) ?? [log ? 1 : 0, 10];
  const domainY = extent(setting.flatMap(p => spread(p, "y")), false) ?? [0, 1];
  for (const p of others) {
    const at = (v, [low, high]) => Math.min(Math.max(v, low), high);
    const [x, y] = [at(p.x, domainX), at(p.y, domainY)];
    p.beyond = x !== p.x || y !== p.y;
    [p.x, p.y] = [x, y];
  }
  return {metric, points, front, opened, others, domainX, domainY, left: all.length - points.length,
    knee: kneeOf(front, scaleOfCost())};
}

let layout = null;

/** The present layout; trials on its front are marked. */
function computeLayout() {
  layout = frontLayout();
  for (const t of trials) t.optimal = false;
  for (const p of layout.front) for (const t of p.trials) t.optimal = true;
}

/** What the tip of a point says. */
function pointText(p) {
  const metric = metricAxis(state.y) ?? study.metric, cost = costAxis(state.x) ?? study.cost;
  if (p.trials.length > 1) {
    const spread = (s, text) => s ? ` ± ${text(s)}` : "";
    return [
      `${p.trials.length} trials of one configuration`,
      `${bare(metric.label)} ${measured(p.y, metric)}${spread(p.sy, s => +s.toPrecision(2))}`,
      `${bare(cost.label)} ${amount(p.x)}${spread(p.sx, s => amount(s, 2))}`,
      `trials ${p.trials.slice(0, 6).map(t => t.trial_id).join(", ")}` +
        (p.trials.length > 6 ? ", ..." : ""),
      ...optionLines(p.trials[0], ["seed"]),
    ].join("\n");
  }
  const t = p.trials[0];
  return [
    `trial ${t.trial_id}` + (t.status === "completed" ? "" : ` (${t.status} after ${t.epochs} epochs)`),
    `${bare(metric.label)} ${measured(t[state.y], metric)}`,
    `${bare(cost.label)} ${amount(t[state.x])}`,
    `depth ${t.architecture}, ` +
      (growthsOf(t).length ? `grew after epochs ${inWords(growthsOf(t))}` : "never grew"),
    ...(reasonOf(t) ? [reasonOf(t)] : []),
    ...(t.growth_ended ? [`fine-tuning began: ${t.growth_ended}`] : []),
    ...(t.val_delta !== null && t.val_delta !== undefined ?
      [`${signed(t.val_delta)} points compared with training from scratch`] : []),
    ...(isBounded(t) ? [] : optionLines(t)),
  ].join("\n");
}

const optionLines = (t, without = []) => study.searched
  .filter(name => !without.includes(name) && (t["config/" + name] ?? null) !== null)
  .map(name => `${name} = ${optionText(t["config/" + name])}`);

const frontPlot = new Plot("front", "Trials by cost and metric", {
  picked(point, more) {
    if (!point) return;
    const group = point.trials[0].group;
    if (point.trials.length > 1 && !more) change({open: state.open === group ? null : group});
    choose(point.trials, more);
  },
});

function drawFront() {
  const {metric, points, front, opened, others, domainX, domainY, knee} = layout;
  const cost = costAxis(state.x) ?? study.cost, kinds = {nominal: "nominal ", paid: "", size: ""};
  element("front-title").textContent =
    `${capital(bare(metric.label))} against ${kinds[cost.kind] ?? ""}${bare(cost.label)}`;
  element("front-text").textContent = frontText();
  const onFront = new Set(front);
  const rest = points.filter(p => !onFront.has(p));
  const small = points.length > 400 ? 3 : 5;
  frontPlot.show({
    x: {label: capital(cost.label), domain: domainX, log: state.log, format: x => amount(x, 3)},
    y: {label: metric.label, domain: domainY, format: tickText(domainY)},
    points: [...opened, ...points, ...others].map(p => Object.assign(p, {tip: () => pointText(p)})),
    brushed: state.brush ? brushFront : null,
    paint(ctx, plot) {
      ctx.strokeStyle = color("--accent");
      ctx.lineWidth = 2;
      plot.path(ctx, front.map(p => p.x), front.map(p => p.y), true);
      for (const p of rest) drawPoint(ctx, plot, p, {radius: small, fill: color("--muted")});
      for (const p of opened) drawSeed(ctx, plot, p);
      for (const p of front) {
        drawPoint(ctx, plot, p, {shape: "star", radius: 6, fill: color("--accent")});
      }
      for (const p of others) drawPoint(ctx, plot, p, otherMark(p));
      if (knee) label(ctx, plot, knee, "knee");
      drawLimit(ctx, plot);
      drawSelected(ctx, plot, [...points, ...opened, ...others]);
    },
    paintOver(ctx, plot) {
      const links = [...others.filter(p => state.selected.includes(p.trials[0])), plot.hovered];
      for (const p of links) if (p?.bounded) drawLink(ctx, plot, p, points);
    },
  });
  frontLegend(rest, others);
}

function frontText() {
  const {others, left, opened} = layout;
  return "The line joins the Pareto front. Click a trial to see its curve; with Shift it is added." +
    (state.seeds ? " A point is the mean of a configuration's seeds, and the bars are a standard " +
      "deviation; a click opens it into its trials, another one closes it." : "") +
    (opened.length > 1 ? ` ${counted(opened.length, "seed")} of one configuration are open.` : "") +
    (others.some(p => p.bounded) ? " A stopped trial is drawn at the lowest cost and the best " +
      "metric that it could have reached." : "") +
    (others.some(p => !p.bounded) ? " Other incomplete trials are drawn at their last epoch." : "") +
    (others.some(p => p.beyond) ? " Hollow marks lie outside the plot." : "") +
    (left ? ` ${counted(left, "point")} of cost 0 cannot stand on a logarithmic axis.` : "") +
    (layout.metric.validation === false ? " No trial is chosen by this metric: it is recorded only." : "");
}

/** Ticks of an axis with as many digits as tell them apart. */
function tickText([low, high]) {
  const digits = Math.min(Math.max(Math.ceil(1 - Math.log10((high - low) / 4)), 0), 8);
  return v => Math.abs(v) >= 1e4 ? amount(v, 3) : v.toFixed(digits).replace(/(\.\d*?)0+$/, "$1")
    .replace(/\.$/, "");
}

function otherMark(p) {
  const {shape, color: name} = MARKS[p.trials[0].status] ?? MARKS.waiting;
  const turned = shape === "corner" && layout.metric.minimized ? "corner-low" : shape;
  return {shape: turned, radius: 5, fill: color(name), hollow: p.beyond};
}

function drawPoint(ctx, plot, p, how) {
  const x = plot.scaleX(p.x), y = plot.scaleY(p.y);
  if (p.sx || p.sy) {
    ctx.strokeStyle = how.fill;
    ctx.lineWidth = 1.2;
    const from = state.log ? Math.max(p.x - p.sx, plot.spec.x.domain[0]) : p.x - p.sx;
    if (p.sx) plot.line(ctx, plot.scaleX(from), y, plot.scaleX(p.x + p.sx), y);
    if (p.sy) plot.line(ctx, x, plot.scaleY(p.y - p.sy), x, plot.scaleY(p.y + p.sy));
  }
  mark(ctx, x, y, how);
}

/** A single trial of the opened configuration, joined to the configuration's mean. */
function drawSeed(ctx, plot, p) {
  const whole = layout.points.find(q => q.trials.includes(p.trials[0]));
  ctx.strokeStyle = color("--edge");
  ctx.lineWidth = 1;
  plot.line(ctx, plot.scaleX(p.x), plot.scaleY(p.y), plot.scaleX(whole.x), plot.scaleY(whole.y));
  mark(ctx, plot.scaleX(p.x), plot.scaleY(p.y), {radius: 4, fill: color("--text")});
}

function drawSelected(ctx, plot, points) {
  const found = new Map();
  for (const p of points) for (const t of p.trials) found.set(t, p);  // seeds last: opened ones
  state.selected.slice(0, 200).forEach((t, place) => {
    const p = found.get(t);
    if (p) ring(ctx, plot.scaleX(p.x), plot.scaleY(p.y), 10, styleOf(place).fill);
  });
}

/** A line from a stopped trial to the one that dominates its bounds. */
function drawLink(ctx, plot, p, points) {
  const rival = points.find(q => q.trials.some(t => t.trial_id === p.trials[0].dominated_by));
  if (!rival) return;
  ctx.strokeStyle = color("--stopped");
  ctx.lineWidth = 1.5;
  ctx.setLineDash([2, 3]);
  plot.line(ctx, plot.scaleX(p.x), plot.scaleY(p.y), plot.scaleX(rival.x), plot.scaleY(rival.y));
  ctx.setLineDash([]);
}

/** Text in a box beside a point, on the side where there is room. */
function label(ctx, plot, p, text) {
  const x = plot.scaleX(p.x), y = plot.scaleY(p.y), width = ctx.measureText(text).width;
  const left = x + 18 + width > plot.right ? x - 22 - width : x + 12;
  const top = layout.metric.minimized ? y + 6 : y - 24;
  ctx.fillStyle = color("--card");
  ctx.globalAlpha = 0.8;
  ctx.fillRect(left, top, width + 8, 18);
  ctx.globalAlpha = 1;
  ctx.fillStyle = color("--text");
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillText(text, left + 4, top + 9);
}

function frontLegend(rest, others) {
  const entries = [{text: "Pareto-optimal", shape: "star", fill: color("--accent")}];
  if (rest.length) entries.push({text: "dominated", shape: "circle", fill: color("--muted")});
  for (const status of Object.keys(MARKS)) {
    for (const bounded of [true, false]) {
      const p = others.find(q => q.trials[0].status === status && q.bounded === bounded);
      if (p) entries.push({text: bounded ? `${status}, at its bounds` : status, ...otherMark(p), hollow: false});
    }
  }
  legend("front-legend", entries);
}

function brushFront({x: [left, right], y: [low, high]}, more) {
  const {points, opened, others} = layout;
  const inside = [...(state.open === null ? points : [...points, ...opened]), ...others]
    .filter(p => p.x >= left && p.x <= right && p.y >= low && p.y <= high);
  choose([...new Set(inside.flatMap(p => p.trials))], more);
  say(`${inside.length} points selected`);
}

/** What may be chosen, as the study has it, and what is chosen now. */
function showFrontControls() {
  const kinds = {nominal: ", nominal", size: ", size"};
  fillChoice(element("x"), study.costs.map(c => [c.column, c.label + (kinds[c.kind] ?? "")]));
  fillChoice(element("y"), study.metrics.map(m =>
    [m.column, m.label + (m.validation ? "" : ", recorded only")]));
  element("seeds-label").hidden = !hasSeeds;
  for (const id of ["x", "y"]) element(id).value = state[id];
  for (const name of ["log", "seeds", "brush"]) element(name).checked = state[name];
}

function setUpFront() {
  for (const id of ["x", "y"]) element(id).onchange = () => change({[id]: element(id).value});
  for (const name of ["log", "seeds", "brush"]) {
    element(name).onchange = () => change({[name]: element(name).checked, open: null});
  }
  view(["study"], showFrontControls);
  view(["x", "y", "log", "seeds", "open", "status", "options"], computeLayout);
  view(["x", "y", "log", "status", "options", "limit"], () => { bought = bestUnder(); });
  view(["x", "y", "log", "seeds", "open", "status", "options", "selected", "brush", "limit"], drawFront);
}
