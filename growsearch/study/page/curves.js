"use strict";
// A quantity of the selected trials over their epochs, with their growths.

const MOST_CURVES = 64;
const BESIDE = {val_accuracy: "test_accuracy", val_loss: "train_loss"};  // dotted, for one trial

const curvePlot = new Plot("curve", "Curves of the selected trials");

function drawCurves() {
  const quantity = state.quantity, list = state.selected.slice(0, MOST_CURVES);
  element("quantity").value = quantity ?? "";
  const single = list.length === 1 ? list[0] : null;
  describeSelected(single, list);
  const curves = list.map((t, place) => ({t, values: curveOf(t, quantity), ...styleOf(place)}));
  const beside = single && curveOf(single, BESIDE[quantity]).some(v => v !== null) ? BESIDE[quantity] : null;
  if (beside) {
    curves.push({t: single, values: curveOf(single, beside), fill: color("--muted"), dash: [2, 3], beside});
  }
  const rtols = quantity === "lipschitz_ratio" ?
    curves.flatMap(c => (c.t["config/rtol"] ?? null) === null ? [] : [{...c, at: c.t["config/rtol"]}]) : [];
  const values = [...curves.flatMap(c => c.values), ...rtols.map(r => r.at)];
  const log = state.logCurve, domain = extent(values, log) ?? [log ? 1 : 0, log ? 10 : 1];
  const longest = Math.max(2, ...curves.map(c => c.values.length));
  const name = study.curves.labels[quantity] ?? "nothing was recorded";
  curvePlot.show({
    x: {label: "epoch", domain: [0.5, longest + 0.5], whole: true, format: String},
    y: {label: name, domain, log, format: quantity === "parameters" ? v => amount(v, 3) : tickText(domain)},
    points: curves.flatMap(c => c.values.flatMap((y, i) => y === null || (log && y <= 0) ? [] :
      [{x: i + 1, y, tip: () => curveText(c, i)}])),
    paint(ctx, plot) {
      plot.clip(ctx, 6);
      if (single) paintPhases(ctx, plot, single);
      for (const {at, fill} of rtols) {
        ctx.strokeStyle = fill;
        ctx.lineWidth = 1.2;
        ctx.setLineDash([8, 4]);
        plot.line(ctx, plot.left, plot.scaleY(at), plot.right, plot.scaleY(at));
      }
      for (const c of curves) paintCurve(ctx, plot, c);
      ctx.setLineDash([]);
      if (single) labelGrowths(ctx, plot, single);
      if (!list.length) paintHint(ctx, plot, "Select trials in the plot or in the table.");
      else if (!extent(values, log)) paintHint(ctx, plot, "The selected trials have no such values.");
    },
  });
  curveLegend(curves, rtols);
}

function describeSelected(single, list) {
  const more = state.selected.length - list.length;
  element("curve-title").textContent = single ? "Trial " + single.trial_id :
    list.length ? counted(state.selected.length, "trial") : "Curves";
  const metric = metricAxis(study.metric.column) ?? study.metric;
  element("curve-text").textContent = single ? [
    shortDepths(single),
    `${amount(single[study.cost.column])} ${bare(study.cost.label)}`,
    `${bare(metric.label)} ${measured(single[metric.column], metric)}`,
    ...optionLines(single),
  ].join(" · ") : list.length ? "A diamond is a growth. Click an entry below to remove it." +
    (more > 0 ? ` ${counted(more, "more trial")} of the selection are not drawn.` : "") : "";
  element("curve-reason").textContent = single ? reasonOf(single) : "";
}

function shortDepths(t) {
  const depths = [...new Set(depthsOf(t))];
  return (depths.length > 6 ? [...depths.slice(0, 3), "...", t.architecture] : depths).join(" → ");
}

function paintCurve(ctx, plot, {t, values, fill, dash, beside}) {
  ctx.strokeStyle = fill;
  ctx.lineWidth = beside ? 1.5 : 2;
  ctx.setLineDash(dash);
  plot.path(ctx, values.map((_, i) => i + 1), values);
  ctx.setLineDash([]);
  if (beside) return;
  const marked = growthsOf(t).filter(e => drawable(e, values[e - 1]) && (!state.logCurve || values[e - 1] > 0));
  const radius = marked.length > 12 ? 2 : 4;
  for (const e of marked) {
    mark(ctx, plot.scaleX(e), plot.scaleY(values[e - 1]), {shape: "diamond", radius, fill});
  }
  if (values.length === 1 && values[0] !== null) {
    mark(ctx, plot.scaleX(1), plot.scaleY(values[0]), {radius: 4, fill});
  }
}

/** Bands of the epochs in which new weights were initialized, and of fine-tuning. */
function paintPhases(ctx, plot, t) {
  const colors = {initializing: "--growth", "fine-tuning": "--muted"};
  phasesOf(t).forEach((phase, i) => {
    if (!(phase in colors)) return;
    ctx.globalAlpha = 0.16;
    ctx.fillStyle = color(colors[phase]);
    ctx.fillRect(plot.scaleX(i + 0.5), plot.top, plot.scaleX(i + 1.5) - plot.scaleX(i + 0.5),
      plot.bottom - plot.top);
    ctx.globalAlpha = 1;
  });
}

/** Lines at the growths of a trial with the depth that follows; where they crowd, the last alone. */
function labelGrowths(ctx, plot, t) {
  const marks = growthsOf(t), depths = depthsOf(t);
  const crowded = marks.length > 8 || marks.some((e, i) =>
    i && plot.scaleX(e) - plot.scaleX(marks[i - 1]) < 16);
  marks.forEach((e, i) => {
    const at = plot.scaleX(e + 0.5);
    ctx.strokeStyle = color("--growth");
    ctx.lineWidth = 1;
    ctx.setLineDash([5, 4]);
    plot.line(ctx, at, crowded ? plot.bottom - 12 : plot.top, at, plot.bottom);
    ctx.setLineDash([]);
    if ((crowded && i < marks.length - 1) || !depths[e]) return;
    ctx.save();
    ctx.translate(at + 8, plot.bottom - 4);
    ctx.rotate(-Math.PI / 2);
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    const text = "→ " + depths[e], width = ctx.measureText(text).width;
    ctx.fillStyle = color("--card");
    ctx.globalAlpha = 0.75;
    ctx.fillRect(-2, -7, width + 4, 14);
    ctx.globalAlpha = 1;
    ctx.fillStyle = color("--growth");
    ctx.fillText(text, 0, 0);
    ctx.restore();
  });
}

function paintHint(ctx, plot, text) {
  ctx.fillStyle = color("--soft");
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.fillText(text, (plot.left + plot.right) / 2, (plot.top + plot.bottom) / 2);
}

function curveText({t, values, beside}, i) {
  const name = study.curves.labels[beside ?? state.quantity];
  const grew = growthsOf(t).includes(i + 1) ? `\ngrew after this epoch to ${depthsOf(t)[i + 1] ?? "?"}` : "";
  return `trial ${t.trial_id}, epoch ${i + 1}\n${bare(name)} ${amount(values[i], 5)}\n` +
    `depth ${depthsOf(t)[i]}${grew}`;
}

function curveLegend(curves, rtols) {
  const entries = curves.slice(0, 16).map(({t, fill, dash, beside}) => ({
    text: beside ? study.curves.labels[beside] : `trial ${t.trial_id}`, line: dash, fill,
    shape: beside ? undefined : "diamond",
    remove: curves.length > 1 && !beside && state.selected.length > 1 ?
      () => change({selected: state.selected.filter(other => other !== t)}) : null,
  }));
  if (curves.length > 16) entries.push({text: `and ${curves.length - 16} more`});
  if (rtols.length) entries.push({text: "rtol of the trial", line: [8, 4], fill: rtols[0].fill});
  legend("curve-legend", entries);
}

function setUpCurves() {
  const choice = element("quantity");
  choice.onchange = () => change({quantity: choice.value});
  element("log-curve").onchange = () => change({logCurve: element("log-curve").checked});
  view(["study"], () => {
    const {labels} = study.curves;
    fillChoice(choice, Object.entries(labels));
    state.quantity ??= study.metric.column in labels ? study.metric.column :
      Object.keys(labels)[0] ?? null;
    element("log-curve").checked = state.logCurve;
  });
  view(["selected", "quantity", "logCurve"], drawCurves);
}
