"use strict";
// What stands above the plots, and the start.

function describeStudy() {
  document.title = document.querySelector("h1").textContent = study.title;
  element("notes").replaceChildren();
  element("figures").replaceChildren();
  const info = study.info, made = new Date(info.created);
  element("made").textContent =
    `${isNaN(made) ? "at an unknown time" : made.toISOString().slice(0, 16).replace("T", " ") + " UTC"} · ` +
    `${info.hardware.processor || info.hardware.machine}, ${info.hardware.cores} cores · ` +
    `torch ${info.versions.torch} · growsearch ${info.versions.growsearch}`;
  for (const note of study.notes) add(element("notes"), "li", note);
  for (const [value, label] of headline()) {
    const box = add(element("figures"), "div");
    add(box, "dt", label);
    add(box, "dd", String(value));
  }
  const {space, ...settings} = info;
  element("details").textContent = JSON.stringify(settings, null, 2) + (space ? "\n\n" + space : "");
}

/** Pairs of a number and what it is. */
function headline() {
  const {counts, outcomes, seconds, audit} = study, metric = metricAxis(study.metric.column) ?? study.metric;
  const shared = counts.paid < counts.nominal;
  const configurations = new Set(study.groups).size;
  const single = frontOf(pointsOf(trials, study.cost.column, study.metric.column, false), metric);
  const best = single[single.length - 1];
  const several = Object.keys(outcomes).length > 1 || (trials.length && !outcomes.completed);
  return [
    [trials.length, trials.length === 1 ? "trial" : "trials"],
    ...(hasSeeds ? [[configurations, "configurations"]] : []),
    ...(several ? Object.entries(outcomes).map(([status, n]) => [n, status]) : []),
    ...(audit ? [[`${audit.wrong} of ${audit.judged}`, "audited stops were wrong"]] : []),
    [single.length, "trials on the front"],
    [study.epochs.toLocaleString("en"), shared ? "epochs, nominal" : "epochs"],
    ...(shared ? [[counts.paid.toLocaleString("en"), "epochs, paid"]] : []),
    [duration(seconds.nominal), shared ? "of training, nominal" : "of training"],
    ...(shared ? [[duration(seconds.paid), "of training, paid"]] : []),
    [best ? measured(best.y, metric) : "–", `best ${bare(metric.label)}, last epoch`],
  ];
}

/** One trial to begin with: the best of the front. */
function selectFirst() {
  if (state.selected.length || !trials.length) return;
  const front = frontOf(pointsOf(trials, state.x, study.metric.column, false), study.metric);
  state.selected = [front.length ? front[front.length - 1].trials[0] : trials[0]];
}

function start() {
  readAddress(location.hash);
  describeStudy();
  selectFirst();
  for (const setUp of [
    setUpFilters, setUpFront, setUpBest, setUpCurves, setUpTable, setUpLines, setUpTree,
    setUpSelection, setUpParallel, setUpSlices, setUpSpending, setUpImportance, setUpAttainment,
  ]) setUp();
  drawSeenFirst(() => { document.documentElement.dataset.ready = "yes"; });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    theme.clear();
    drawAll();
  });
}

start();
document.documentElement.dataset.begun = "yes";
