"use strict";
// What the reader has chosen. It is in the address, so that a link restores the view.

const state = {
  x: study.cost.column,
  y: study.metric.column,
  log: false,
  seeds: hasSeeds,
  brush: false,
  open: null,          // the configuration whose seeds are shown apart
  quantity: null,      // of the curves
  slice: "y",          // what slices draw up: the metric, or the cost
  logCurve: false,
  selected: [],        // trials, in the order in which they were chosen
  status: null,        // the shown statuses; null for all
  options: {},         // by option: {from, to} for numbers or {values} for texts
  limit: 1000,         // of the slider, of 1000
  sort: null,          // [column's name, 1 or -1]
  filtering: false,    // whether the filter is open
};
const views = [];

/** Has `draw` called at the start, and when one of the named parts of the state has changed.
 *
 * What is drawn in `host`, the id of an element whose size does not depend on that, may be drawn
 * after what is seen first.
 */
function view(parts, draw, host = null) {
  views.push({parts, draw, host});
}

let waiting = null;

/** Changes the state, and draws what depends on it before the next frame. */
function change(parts) {
  Object.assign(state, parts);
  if ("status" in parts || "options" in parts) shownTrials = null;
  if (waiting === null) {
    waiting = new Set();
    requestAnimationFrame(drawChanged);
  }
  for (const part of Object.keys(parts)) waiting.add(part);
}

function drawChanged() {
  const parts = waiting ?? new Set();
  waiting = null;
  for (const one of views) {
    if (one.parts.some(part => parts.has(part))) drawOne(one);
  }
  keepInAddress();
}

function drawAll() {
  for (const one of views) drawOne(one);
}

const undrawn = new Set();  // views that wait until the browser has time

function drawOne(one) {
  undrawn.delete(one);
  one.draw();
}

/** As `drawAll`, but what lies below the window comes later, piece by piece; then calls `done`. */
function drawSeenFirst(done) {
  for (const one of views) {
    if (one.host && element(one.host).getBoundingClientRect().top > innerHeight) undrawn.add(one);
    else one.draw();
  }
  const whenIdle = window.requestIdleCallback ?? setTimeout;
  const next = () => {
    const [one] = undrawn;
    if (!one) return done();
    drawOne(one);
    return whenIdle(next);
  };
  // the first frame is shown before
  requestAnimationFrame(() => setTimeout(() => whenIdle(next)));
}

let shownTrials = null;

/** The trials that pass the filter. */
function shown() {
  shownTrials ??= trials.filter(passes);
  return shownTrials;
}

function passes(t) {
  if (state.status && !state.status.includes(t.status)) return false;
  return Object.entries(state.options).every(([column, rule]) => {
    const value = t[column] ?? null;
    if (rule.values) return rule.values.includes(optionText(value));
    return value !== null && value >= (rule.from ?? -Infinity) && value <= (rule.to ?? Infinity);
  });
}

/** Selects one trial, or with `more` adds or removes it. */
function choose(list, more = false) {
  const names = new Set(list);
  if (!more) return change({selected: list});
  const all = list.every(t => state.selected.includes(t));
  return change({selected: all ? state.selected.filter(t => !names.has(t)) :
    [...state.selected, ...list.filter(t => !state.selected.includes(t))]});
}

const MOST_LINKED = 300;  // an address has a few thousand characters

function address() {
  const parts = new URLSearchParams();
  if (state.x !== study.cost.column) parts.set("x", state.x);
  if (state.y !== study.metric.column) parts.set("y", state.y);
  if (state.quantity) parts.set("quantity", state.quantity);
  if (state.slice !== "y") parts.set("slice", state.slice);
  for (const name of ["log", "logCurve", "brush", "filtering"]) if (state[name]) parts.set(name, "1");
  if (hasSeeds && !state.seeds) parts.set("seeds", "0");
  if (state.open !== null) parts.set("open", state.open);
  if (state.limit < 1000) parts.set("limit", state.limit);
  if (state.sort) parts.set("sort", state.sort.join(" "));
  if (state.status) parts.set("status", state.status.join(" "));
  if (Object.keys(state.options).length) parts.set("options", JSON.stringify(state.options));
  if (state.selected.length <= MOST_LINKED) {
    for (const t of state.selected) parts.append("trial", t.trial_id);
  }
  return "#" + parts;
}

function keepInAddress() {
  try {
    history.replaceState(null, "", address());
  } catch {
    // a page inside another one may have no address of its own
  }
}

/** Reads the state from an address; what the study does not have is left out. */
function readAddress(hash) {
  const parts = new URLSearchParams(hash.slice(1));
  const find = (name, known, usual) => known.includes(parts.get(name)) ? parts.get(name) : usual;
  state.x = find("x", study.costs.map(c => c.column), study.cost.column);
  state.y = find("y", study.metrics.map(m => m.column), study.metric.column);
  state.quantity = find("quantity", Object.keys(study.curves.labels), null);
  state.slice = find("slice", ["x", "y"], "y");
  for (const name of ["log", "logCurve", "brush", "filtering"]) state[name] = parts.get(name) === "1";
  state.seeds = hasSeeds && parts.get("seeds") !== "0";
  const open = Number(parts.get("open") ?? NaN);
  state.open = study.groups.includes(open) ? open : null;
  const limit = Number(parts.get("limit") ?? 1000);
  state.limit = limit >= 0 && limit <= 1000 ? limit : 1000;
  const sort = (parts.get("sort") ?? "").match(/^(.*) (-?1)$/);
  state.sort = sort ? [sort[1], Number(sort[2])] : null;
  state.status = parts.has("status") ? parts.get("status").split(" ").filter(Boolean) : null;
  state.options = readOptions(parts.get("options"));
  const named = parts.getAll("trial").map(name => byName.get(name)).filter(Boolean);
  if (named.length) state.selected = named;
  shownTrials = null;
}

function readOptions(text) {
  let given;
  try {
    given = JSON.parse(text ?? "{}");
  } catch {
    return {};
  }
  const options = {};
  for (const [column, rule] of Object.entries(given ?? {})) {
    if (!(column in study.trials) || typeof rule !== "object" || rule === null) continue;
    if (Array.isArray(rule.values)) options[column] = {values: rule.values.map(String)};
    else options[column] = {from: numberOr(rule.from), to: numberOr(rule.to)};
  }
  return options;
}

const numberOr = x => typeof x === "number" && isFinite(x) ? x : null;
