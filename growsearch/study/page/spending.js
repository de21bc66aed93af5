"use strict";
// The hypervolume against what was paid, and attainment over seeds.

const TOTALS = [
  {name: "paid", text: "paid", fill: "--c1", dash: [1000, 0]},
  {name: "unshared", text: "without sharing", fill: "--c2", dash: [7, 4]},
  {name: "unstopped", text: "without sharing and stopping", fill: "--c4", dash: [2, 3]},
];

function drawSpending(plot) {
  const {hypervolume, unit} = study.spending, last = list => list[list.length - 1] ?? 0;
  const totals = TOTALS.filter(({name}, i) => !i ||
    last(study.spending[name]) > last(study.spending[TOTALS[i - 1].name]) * 1.0001);
  const points = totals.flatMap(({name, text}) => study.spending[name].map((x, i) => ({
    x, y: hypervolume[i], trials: [byName.get(study.spending.trials[i])],
    tip: () => `after trial ${study.spending.trials[i]}\n${amount(x)} ${unit} ${text}\n` +
      `hypervolume ${hypervolume[i].toFixed(4)}`,
  })));
  plot.show({
    x: {label: `${unit}, all trials together`, format: x => amount(x, 3),
      domain: [0, Math.max(...totals.map(({name}) => last(study.spending[name]))) * 1.03 || 1]},
    y: {label: "hypervolume", domain: [0, (last(hypervolume) || 1) * 1.08], format: tickText([0, last(hypervolume) || 1])},
    points,
    paint(ctx, p) {
      for (const {name, fill, dash} of totals) {
        ctx.strokeStyle = color(fill);
        ctx.lineWidth = 2;
        ctx.setLineDash(dash);
        // a trial adds to the hypervolume once it has been paid for
        p.path(ctx, [0, ...study.spending[name]], [0, ...hypervolume], true);
      }
      ctx.setLineDash([]);
    },
  });
  legend("spending-legend", totals.map(({text, fill, dash}) => ({text, line: dash, fill: color(fill)})));
}

function spendingText() {
  const {paid, unshared, unstopped, stopped, bounds, ordered, unit} = study.spending;
  const last = list => list[list.length - 1] ?? 0, [a, b, c] = [paid, unshared, unstopped].map(last);
  const saved = (less, more, how) => more > less * 1.0001 ?
    ` ${how} saved ${amount(more - less)} (${Math.round(100 * (1 - less / more))} %).` : "";
  return `The search paid ${amount(a)} ${unit}.` + saved(a, b, "Sharing epochs") +
    saved(b, c, `Stopping ${counted(stopped, "trial")} has, without sharing, at least`) +
    ` The hypervolume is that of log cost (${amount(bounds.lowest_cost)} to ${amount(bounds.highest_cost)}) ` +
    "and metric, scaled to the ranges of the completed trials, with 1.1 as the reference point. " +
    (ordered ? "Trials stand in the order in which they ended." :
      "The study has no log of its search: trials stand in the order of their names.");
}

const SURFACES = [["25", "--c2", [7, 4]], ["50", "--c1", [1000, 0]], ["75", "--c4", [2, 3]]];

function drawAttainment(plot) {
  const {surfaces} = study.attainment, metric = metricAxis(study.metric.column) ?? study.metric;
  const corners = Object.values(surfaces).flat(), there = SURFACES.filter(([share]) => surfaces[share]?.length);
  const domain = extent(corners.map(c => c[0]), false), up = extent(corners.map(c => c[1]), false);
  plot.show({
    x: {label: capital(study.cost.label), domain, format: x => amount(x, 3)},
    y: {label: metric.label, domain: up, format: tickText(up)},
    points: there.flatMap(([share]) => surfaces[share].map(([x, y]) => ({x, y,
      tip: () => `${share} % of the seeds attain\n${bare(metric.label)} ${measured(y, metric)}\n` +
        `for ${amount(x)} ${bare(study.cost.label)}`}))),
    paint(ctx, p) {
      for (const [share, fill, dash] of there) {
        ctx.strokeStyle = color(fill);
        ctx.lineWidth = 2;
        ctx.setLineDash(dash);
        const list = surfaces[share];
        p.path(ctx, [...list.map(c => c[0]), domain[1]], [...list.map(c => c[1]), list[list.length - 1][1]], true);
        ctx.setLineDash([]);
        for (const [x, y] of list) mark(ctx, p.scaleX(x), p.scaleY(y), {radius: 3, fill: color(fill)});
      }
    },
  });
  legend("attainment-legend", there.map(([share, fill, dash]) =>
    ({text: `attained by ${share} % of the seeds`, line: dash, fill: color(fill)})));
}

function setUpSpending() {
  const plot = new Plot("spending", "Hypervolume against what was paid", {
    picked: (point, more) => { if (point?.trials[0]) choose(point.trials, more); },
  });
  view(["study"], () => {
    element("spending-card").hidden = !study.spending;
    if (study.spending) element("spending-text").textContent = spendingText();
  });
  view(["study"], () => { if (study.spending) drawSpending(plot); }, "spending");
}

function attainmentText() {
  const {seeds, balanced} = study.attainment;
  return `Each of the ${seeds} seeds has a front of its own. A line joins what that share of them attains.` +
    (balanced ? "" : " Seeds have different numbers of trials, so those with more attain more.");
}

function setUpAttainment() {
  const plot = new Plot("attainment", "Attainment over seeds");
  view(["study"], () => {
    element("attainment-card").hidden = study.attainment.seeds < 2;
    element("attainment-text").textContent = attainmentText();
  });
  view(["study"], () => { if (study.attainment.seeds > 1) drawAttainment(plot); }, "attainment");
}
