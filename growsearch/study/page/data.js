"use strict";
// The study: trials as objects, and their epochs.

let study, trials, byName, hasSeeds;
let firstEpoch = [];  // where each trial's epochs begin in the columns of `study.curves`
const derivations = [];

/** Has `compute` called now, and whenever the study has changed. */
function derive(compute) {
  derivations.push(compute);
  compute();
}

/** Makes `given` the study, which is what the page shows. */
function takeStudy(given) {
  study = given;
  const columns = Object.entries(study.trials);
  // columns of which {all: value} is one that all trials have
  trials = study.groups.map((group, index) => {
    const trial = {index, group};
    for (const [name, values] of columns) {
      trial[name] = Array.isArray(values) ? values[index] : values.all;
    }
    trial.optimal = false;
    return trial;
  });
  byName = new Map(trials.map(t => [t.trial_id, t]));
  // a column of few different numbers is a list of them, and the place of each epoch's in it
  for (const [column, given] of Object.entries(study.curves.numbers)) {
    if (!Array.isArray(given)) study.curves.numbers[column] = given.places.map(i => given.values[i]);
  }
  let sum = 0;
  firstEpoch = study.curves.lengths.map(n => (sum += n) - n);
  const seeds = new Map();
  hasSeeds = trials.some(t => {
    const known = seeds.get(t.group) ?? seeds.set(t.group, t["config/seed"]).get(t.group);
    return known !== t["config/seed"];
  });
  for (const compute of derivations) compute();
}

takeStudy(JSON.parse(element("data").textContent));

const growthsOf = t => t.growth_epochs ? String(t.growth_epochs).split(" ").map(Number) : [];

/** A column of a trial's epochs; [] if no trial has it. */
function curveOf(t, column) {
  const values = study.curves.numbers[column] ?? study.curves[column] ?? [];
  const begin = firstEpoch[t.index];
  return values.slice(begin, begin + study.curves.lengths[t.index]);
}
const depthsOf = t => curveOf(t, "architecture").map(i => study.curves.architectures[i]);
const phasesOf = t => curveOf(t, "phase").map(i => study.curves.phases[i]);

const costAxis = column => study.costs.find(c => c.column === column);
const metricAxis = column => study.metrics.find(m => m.column === column);
const bound = (t, column) => t["bound/" + column] ?? null;
const better = (x, y, metric) => metric.minimized ? x < y : x > y;
const worth = (x, metric) => metric.minimized ? -x : x;

/** The members of `points`, {x, y}, that none dominates, cheapest first; equal ones all stay. */
function frontOf(points, metric) {
  const sorted = [...points].sort((a, b) => a.x - b.x || worth(b.y, metric) - worth(a.y, metric));
  const front = [];
  for (const p of sorted) {
    const last = front[front.length - 1];
    if (!last || better(p.y, last.y, metric) || (p.y === last.y && p.x === last.x)) front.push(p);
  }
  return front;
}

/** The point of the front that is farthest above the line between its ends; null below three.
 *
 * Both axes are scaled to the front's extent, the cost as it is drawn (Satopää et al. 2011).
 */
function kneeOf(front, scale) {
  if (front.length < 3) return null;
  const first = front[0], last = front[front.length - 1];
  const width = scale(last.x) - scale(first.x), height = last.y - first.y;
  if (!width || !height) return null;
  const above = p => (p.y - first.y) / height - (scale(p.x) - scale(first.x)) / width;
  const inner = front.slice(1, -1).sort((a, b) => above(b) - above(a));
  return above(inner[0]) > 0 ? inner[0] : null;
}

/** Why a trial was stopped, or would have been; else the reason that was recorded. */
function reasonOf(t) {
  const rival = byName.get(t.dominated_by), metric = study.judged;
  if (!rival) return t.reason || "";
  const named = study.costs.filter(c => bound(t, c.column) !== null);
  const listed = of => named.map(c => `${amount(of(c.column), 5)} ${c.name ?? c.label}`).join(" and ");
  const dominates = `trial ${rival.trial_id} (${listed(c => rival[c])}, ` +
    `${measured(rival[metric.column], metric)}) dominates its bounds ` +
    `(at least ${listed(c => bound(t, c))}, at ${metric.minimized ? "least" : "most"} ` +
    measured(bound(t, metric.column), metric) +
    (t.slack ? `, ${metric.minimized ? "plus" : "minus"} a slack of ${t.slack}${metric.percent ? " points" : ""})` : ")");
  if (t.status === "stopped") return `Stopped after epoch ${t.epochs} because ${dominates}.`;
  const limit = rival[metric.column] + (metric.minimized ? -t.slack : t.slack);
  const wrong = t.status === "completed" && better(t[metric.column], limit, metric);
  return `Audited: this trial was not stopped although ${dominates}. ` +
    (wrong ? "Stopping it would have been wrong." : "Stopping it would have been right.");
}

/** A reason in a few words. */
const inShort = t => t.dominated_by ?
  `${t.status === "stopped" ? "" : "audited, "}dominated by ${t.dominated_by}` : t.reason || "";
