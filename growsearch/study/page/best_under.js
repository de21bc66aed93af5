"use strict";
// The best configuration under a cost limit, the knee, and the commands that train and export them.

/** The metric by which a configuration is chosen: never one of test data. */
function judgingMetric() {
  const drawn = metricAxis(state.y);
  return drawn && drawn.validation ? drawn : metricAxis(study.metric.column) ?? study.metric;
}

/** What a limit on the slider buys, or null: {limit, low, high, point, points}. */
function bestUnder() {
  const metric = judgingMetric();
  const points = pointsOf(shown(), state.x, metric.column, true).filter(p => !state.log || p.x > 0);
  if (!points.length) return null;
  const costs = points.map(p => p.x);
  const low = costs.reduce((a, b) => Math.min(a, b)), high = costs.reduce((a, b) => Math.max(a, b));
  const share = state.limit / 1000;
  const limit = state.limit >= 1000 ? high : share <= 0 ? low :
    state.log ? low * (high / low) ** share : low + share * (high - low);
  const affordable = points.filter(p => p.x <= limit);
  const front = frontOf(affordable, metric);
  return {limit, low, high, point: front[front.length - 1], points, metric};
}

/** Where the slider has this limit; at an end if it lies beyond. */
function placeOf(limit, {low, high}) {
  const scale = scaleOfCost(), share = (scale(limit) - scale(low)) / (scale(high) - scale(low));
  return isFinite(share) ? 1000 * Math.min(Math.max(share, 0), 1) : 1000;
}

let bought = null;

/** A line at the limit, and a ring around what it buys. */
function drawLimit(ctx, plot) {
  if (!bought) return;
  const [low, high] = plot.spec.x.domain;
  if (bought.limit < low || bought.limit > high) return;
  ctx.strokeStyle = color("--growth");
  ctx.lineWidth = 1.5;
  ctx.setLineDash([6, 4]);
  const at = plot.scaleX(bought.limit);
  plot.line(ctx, at, plot.top, at, plot.bottom);
  ctx.setLineDash([]);
  const best = new Set(bought.point.trials);
  const p = layout.points.find(q => q.trials.some(t => best.has(t)));
  if (p) ring(ctx, plot.scaleX(p.x), plot.scaleY(p.y), 13, color("--growth"));
}

const named = p => p.trials.length > 1 ?
  `${bestOf(p).trial_id} (the best of ${p.trials.length} seeds)` : p.trials[0].trial_id;

/** The trial of a configuration with the best metric. */
function bestOf(p) {
  const metric = judgingMetric();
  return p.trials.reduce((a, b) => better(b[metric.column], a[metric.column], metric) ? b : a);
}

function drawBest() {
  const cost = costAxis(state.x) ?? study.cost, knee = layout.knee;
  element("knee-text").textContent = knee ?
    `The knee of the front is trial ${named(knee)}: ${measured(knee.y, layout.metric)} for ` +
      `${amount(knee.x)} ${bare(cost.label)}. It is the point farthest from the line between the front's ` +
      "ends, with the axes as they are drawn." :
    "The front has no knee: it has fewer than three points, or none lies beyond the line between its ends.";
  element("limit-cost").textContent = bare(cost.label);
  const text = element("best-text"), slider = element("limit");
  slider.disabled = !bought;
  element("commands").replaceChildren();
  if (!bought) {
    text.textContent = "No shown trial has completed, so a limit buys nothing.";
    return;
  }
  const {limit, point, metric} = bought, t = bestOf(point);
  const spread = point.sy ? ` ± ${+point.sy.toPrecision(2)}` : "";
  text.textContent = `A limit of ${amount(limit)} ${bare(cost.label)} buys trial ${named(point)}: ` +
    `${bare(metric.label)} ${measured(point.y, metric)}${spread} for ${amount(point.x)}.` +
    (metric.column === state.y ? "" : " It is chosen by validation, not by what is drawn.");
  slider.setAttribute("aria-valuetext", `${amount(limit)} ${bare(cost.label)}, trial ${t.trial_id}`);
  addCommands(t, limit, cost, metric);
}

function addCommands(t, limit, cost, metric) {
  const again = study.commands[t.trial_id];
  if (again) addCommand("train it again", again);
  addCommand("export it", "growsearch export" +
    given([study.folder, t.trial_id], {"--out": t.trial_id + ".safetensors"}));
  const own = metric.column === study.metric.column;
  if (cost.name && own && !state.status && !Object.keys(state.options).length) {
    const asked = study.asked ? {"--metric": study.asked} : {};
    const most = String(roundedUp(limit, bought.point.x));
    addCommand("ask again",
      "growsearch best" + given([study.folder], {"--cost": cost.name, "--max": most, ...asked}));
  }
}

/** The arguments of a command: none that begins with "-" is an option of its own. */
function given(places, options) {
  const isDashed = word => word.startsWith("-");
  const words = places.map(quoted);
  const named = Object.entries(options).map(
    ([name, value]) => name + (isDashed(value) ? "=" : " ") + quoted(value));
  return " " + (places.some(isDashed) ? [...named, "--", ...words] : [...words, ...named]).join(" ");
}

/** The limit with six digits, but never below what it buys. */
function roundedUp(limit, least) {
  const rounded = +limit.toPrecision(6);
  return rounded >= least ? rounded : limit;
}

/** A word as a shell reads it. */
const quoted = word => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;

function addCommand(what, command) {
  const row = add(element("commands"), "div", "", "command");
  add(row, "div", what);
  add(row, "code", command).tabIndex = 0;
  const button = add(row, "button", "Copy");
  button.type = "button";
  button.setAttribute("aria-label", `Copy the command: ${what}`);
  button.onclick = () => copy(command, button);
}

/** Copies text; where the browser does not allow it, it is selected for the reader to copy. */
async function copy(text, button) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    const field = add(document.body, "textarea", text);
    field.select();
    done = document.execCommand("copy");
    field.remove();
  }
  const before = button.textContent;
  button.textContent = done ? "Copied" : "Not copied";
  say(button.textContent);
  setTimeout(() => { button.textContent = before; }, 1500);
}

function setUpBest() {
  const slider = element("limit");
  slider.oninput = () => change({limit: Number(slider.value)});
  const parts = ["x", "y", "log", "status", "options", "limit"];
  view(["study"], () => { slider.value = state.limit; });
  view([...parts, "seeds", "open"], drawBest);
}
