"use strict";
// How much each option decides the cost and the metric.

function setUpImportance() {
  view(["study"], drawImportance);
}

function drawImportance() {
  const {cost, metric, trials: completed, least, library} = study.importance;
  element("importance-card").hidden = !study.searched.length || !trials.length;
  element("importance").replaceChildren();
  if (element("importance-card").hidden) return;
  const text = element("importance-text");
  if (!cost && !metric) {
    text.textContent = completed < least ?
      `${counted(completed, "completed trial")} ${completed === 1 ? "is" : "are"} too few to say which ` +
        `options decide; it takes ${least}.` :
      "The completed trials do not differ in what would decide.";
    return;
  }
  const said = (found, label) => found ? ` It explains ${Math.round(100 * Math.max(found.explained, 0))} % ` +
    `of ${label} (R² on trials that it has not seen).` : ` ${capital(label)} does not vary.`;
  text.textContent = `Permutation importance by ${library}: how much worse a random forest predicts when ` +
    "an option's values are shuffled, with the standard deviation." +
    said(cost, bare(study.cost.label)) + said(metric, bare(study.metric.label)) +
    (completed < 40 ? ` With ${completed} trials, small differences mean nothing.` : "");
  const host = add(element("importance"), "div", "", "share");
  for (const head of ["option", bare(study.cost.label), bare(study.metric.label)]) add(host, "b", head);
  const names = [...new Set([...(metric?.options ?? []), ...(cost?.options ?? [])])];
  const most = Math.max(0.01, ...(cost?.mean ?? []), ...(metric?.mean ?? []));
  for (const name of names) {
    add(host, "div", name).title = name;
    for (const [found, kind] of [[cost, ""], [metric, "metric"]]) {
      const track = add(host, "div", "", `track ${kind}`), place = found?.options.indexOf(name) ?? -1;
      if (place < 0) { track.textContent = "–"; continue; }
      const value = Math.max(found.mean[place], 0);
      add(track, "i").style.width = `${50 * value / most}%`;
      add(track, "span", `${value.toFixed(2)} ± ${found.std[place].toFixed(2)}`);
    }
  }
}
