"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byContent = new Map(data.checkpoints.map(one => [one.content, one]));
const catalogue = new Map(data.metrics.map((one, place) => [one.name, { ...one, place }]));
// What the address keeps; `columns` and `clips` are lists, empty for the usual ones.
const state = Object.assign({ protocol: "", metric: "", filter: "", sort: "", order: "up", chosen: "", columns: "", clips: "" },
  Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
const ARROWS = { lower: "↓", higher: "↑", one: "→ 1" };
const NONE = "-";
const at = id => document.getElementById(id);
const short = hash => hash.slice(0, 12);
const listed = text => text.split(",").filter(word => word && word !== NONE);
const keyOf = one => `${short(one.content)}/${one.subject}`;

// Every text goes through here: text nodes only, so that nothing in the data can become markup.
function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  if (className) element.className = className;
  return element;
}

// --- rows and metrics

const ofProtocol = protocol => data.rows.filter(row => row.protocol === protocol);

function words(row) {
  const one = byContent.get(row.content);
  return [row.content, one.name, row.subject, row.setting, one.role, ...one.aliases, ...one.paths,
    ...Object.entries(one.params).map(([key, value]) => `${key}=${value}`), ...one.remarks.map(remark => remark.text)].join(" ").toLowerCase();
}

function visibleRows() {
  const wanted = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  return ofProtocol(state.protocol).filter(row => wanted.every(word => words(row).includes(word)));
}

// Metrics that were measured, those of the catalogue in its order, others after them by name.
function metrics() {
  const place = name => catalogue.get(name)?.place ?? Infinity;
  const names = [...new Set(ofProtocol(state.protocol).flatMap(row => Object.keys(row.scores)))].sort();
  return names.sort((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)));
}

function columns() {
  const known = metrics(), chosen = state.columns ? listed(state.columns) : data.metrics.filter(one => one.is_headline).map(one => one.name);
  const shown = known.filter(name => chosen.includes(name));
  return shown.length || state.columns ? shown : known;
}

function title(name) {
  const row = ofProtocol(state.protocol).find(row => name in row.scores);
  return `${catalogue.get(name)?.label ?? name} ${row ? ARROWS[row.scores[name][2]] : ""}`.trim();
}

// Smaller is better for every direction: distance to the best value.
function badness(score) {
  if (!score || typeof score[0] !== "number") return Infinity;
  return { lower: score[0], higher: -score[0], one: Math.abs(score[0] - 1) }[score[2]];
}

function format(score) {
  if (!score) return "";
  return typeof score[0] === "number" ? Number(score[0].toPrecision(4)).toString() : score[0];
}

// --- the table

const BEFORE = [["name", "name", "words"]], AFTER = [["forwards", "forwards", ""], ["sampled with", "sampled with", "words"]];

function sortKey(row, column) {
  if (column in row.scores) return badness(row.scores[column]);
  const known = { name: byContent.get(row.content).name, "sampled with": row.steps, forwards: row.forwards };
  return known[column] ?? Infinity;
}

function sorted(rows) {
  if (!state.sort) return rows;
  const sign = state.order === "down" ? -1 : 1;
  return rows.map(row => [sortKey(row, state.sort), row])
    .sort(([a], [b]) => (a === b ? 0 : a < b ? -sign : sign)).map(([, row]) => row);
}

function headCell([key, label, className]) {
  const cell = make("th", null, className), mark = state.sort === key ? (state.order === "down" ? " ▼" : " ▲") : "";
  const button = make("button", label + mark);
  cell.scope = "col";
  cell.title = catalogue.get(key)?.meaning ?? "";
  button.dataset.column = key;
  if (mark) cell.setAttribute("aria-sort", state.order === "down" ? "descending" : "ascending");
  button.onclick = () => change({ order: state.sort === key && state.order === "up" ? "down" : "up", sort: key });
  cell.append(button);
  return cell;
}

function scoreCell(row, name, best) {
  const score = row.scores[name], isBest = row.complete && badness(score) === best[name] && best[name] < Infinity;
  const cell = make("td");
  cell.append(make(isBest ? "mark" : "span", format(score)));
  if (badness(score) < Infinity && score[1] !== null) cell.append(make("small", ` ± ${format([score[1]])}`));
  if (score) cell.title = `${score[3]} samples`;
  return cell;
}

function bodyRow(row, names, best) {
  const one = byContent.get(row.content), line = make("tr", null, row.content === state.chosen ? "chosen" : "");
  const head = make("th"), button = make("button", one.name);
  head.scope = "row";
  head.title = row.content;
  button.onclick = () => choose(row.content);
  head.append(button, ...one.aliases.map(alias => make("span", alias, "badge")));
  if (row.subject !== one.name) head.append(make("small", row.subject));
  const setting = make("td", row.setting + (row.complete ? "" : " (incomplete)"), row.complete ? "words" : "words incomplete");
  line.append(head, ...names.map(name => scoreCell(row, name, best)), make("td", row.forwards), setting);
  return line;
}

function table(rows) {
  const names = columns(), complete = rows.filter(row => row.complete);
  const best = Object.fromEntries(names.map(name => [name, Math.min(Infinity, ...complete.map(row => badness(row.scores[name])))]));
  at("head").replaceChildren(...[...BEFORE, ...names.map(name => [name, title(name), ""]), ...AFTER].map(headCell));
  at("body").replaceChildren(...sorted(rows).map(row => bodyRow(row, names, best)));
}

function box(label, isChecked, onChange) {
  const whole = make("label"), input = make("input");
  Object.assign(input, { type: "checkbox", checked: isChecked });
  input.onchange = () => onChange(input.checked);
  whole.append(input, make("span", label));
  return whole;
}

function chooser() {
  const shown = columns(), all = metrics();
  const boxes = all.map(name => box(title(name), shown.includes(name), isOn => {
    const kept = all.filter(other => (other === name ? isOn : shown.includes(other)));
    change({ columns: kept.join() || NONE });
  }));
  const usual = make("button", "the usual"), every = make("button", "all");
  usual.onclick = () => change({ columns: "" });
  every.onclick = () => change({ columns: all.join() });
  at("columns").replaceChildren(...boxes, usual, every);
}

// --- graph and details

function graph(rows) {
  const shown = new Set(rows.map(row => row.content));
  for (const node of document.querySelectorAll("#graph .node")) {
    const mine = rows.filter(row => row.content === node.dataset.content && state.metric in row.scores);
    const top = mine.sort((a, b) => badness(a.scores[state.metric]) - badness(b.scores[state.metric]))[0];
    node.querySelector(".metric").textContent = top ? `${format(top.scores[state.metric])} at ${top.steps} steps` : "";
    node.classList.toggle("dim", state.filter !== "" && !shown.has(node.dataset.content));
    node.classList.toggle("chosen", node.dataset.content === state.chosen);
    node.onclick = () => choose(node.dataset.content);
    node.onkeydown = event => { if (event.key === "Enter") choose(node.dataset.content); };
  }
}

function choose(content) { change({ chosen: state.chosen === content ? "" : content }); }

function details() {
  const one = byContent.get(state.chosen);
  at("details").replaceChildren();
  if (!one) return;
  const list = make("dl");
  const add = (key, value) => list.append(make("dt", key), make("dd", value));
  add("checkpoint", one.content);
  for (const alias of one.aliases) add("alias", alias);
  for (const path of one.paths) add("where", path);
  for (const [relation, parent] of one.parents) add(relation, parent);
  if (one.forwards !== null) add("forwards", one.forwards.toLocaleString("en"));
  for (const [key, value] of Object.entries(one.params)) add(key, value);
  for (const remark of one.remarks) add(`remark of ${remark.by}, ${remark.at}`, remark.text);
  at("details").append(make("h3", one.name), list);
}

// --- the gallery: a prompt a row, the reference first, all in step

function isReference(row) {
  return byContent.get(row.content).role === "base" && row.steps === data.protocols[row.protocol].grid_steps;
}

// Rows that have clips: the reference, then by the graph's metric.
function shownSubjects(rows) {
  const kept = rows.filter(row => data.clips.some(clip => isOf(clip, row)));
  const rank = row => (isReference(row) ? -Infinity : badness(row.scores[state.metric]));
  return kept.map(row => [rank(row), row]).sort(([a], [b]) => (a === b ? 0 : a < b ? -1 : 1)).map(([, row]) => row);
}

const isOf = (clip, row) => clip.content === row.content && clip.subject === row.subject && clip.protocol === row.protocol;

function usualSubjects(subjects) {
  const students = subjects.filter(row => byContent.get(row.content).role === "student" && !isReference(row)).slice(0, 3);
  return [...subjects.filter(isReference), ...students].map(keyOf);
}

function gallery(rows) {
  const all = shownSubjects(ofProtocol(state.protocol)), visible = shownSubjects(rows);
  const chosen = state.clips ? listed(state.clips) : usualSubjects(visible);
  const shown = all.filter(row => chosen.includes(keyOf(row)));
  at("gallery").hidden = all.length === 0;
  at("subjects").replaceChildren(...all.map(row => box(label(row), shown.includes(row), isOn => {
    const kept = all.filter(other => (other === row ? isOn : shown.includes(other)));
    change({ clips: kept.map(keyOf).join() || NONE });
  })));
  stage(shown);
}

function label(row) {
  const one = byContent.get(row.content), same = one.name === row.subject ? "" : ` of ${one.name}`;
  return `${row.subject}${same}${isReference(row) ? " (reference)" : ""}`;
}

let staged = "";  // what is on stage: players go on while nothing changes there

function stage(subjects) {
  const wanted = state.protocol + subjects.map(keyOf).join();
  if (wanted === staged) return;
  staged = wanted;
  const clips = data.clips.filter(clip => subjects.some(row => isOf(clip, row)));
  const prompts = [...new Map(clips.map(clip => [`${clip.prompt} ${clip.seed}`, clip])).values()];
  const group = make("div", null, "players");
  Object.assign(group.dataset, { frames: data.protocols[state.protocol]?.num_frames ?? 1, rate: clips[0]?.rate ?? 1 });
  group.tabIndex = 0;
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "Clips in step: space plays and stops, the arrow keys go frame by frame");
  group.append(at("controls").content.cloneNode(true), ...prompts.map(prompt => promptRow(prompt, clips, subjects)));
  group.querySelector("input").max = group.dataset.frames - 1;
  at("stage").replaceChildren(...(clips.length ? [group] : []));
  if (clips.length) inStep(group);
}

function promptRow(prompt, clips, subjects) {
  const row = make("div"), strip = make("div", null, "strip");
  for (const subject of subjects) {
    const clip = clips.find(one => isOf(one, subject) && one.prompt === prompt.prompt && one.seed === prompt.seed);
    if (clip) strip.append(figure(clip, subject));
  }
  row.append(make("h3", `“${prompt.prompt}”`), strip);
  return row;
}

function figure(clip, subject) {
  const whole = make("figure", null, isReference(subject) ? "reference" : ""), video = make("video");
  const caption = make("figcaption", label(subject));
  Object.assign(video, { src: clip.src, loop: true, muted: true, playsInline: true, preload: "auto", ariaLabel: `${clip.subject}: ${clip.prompt}` });
  caption.append(make("small", `${subject.forwards} forwards`));
  whole.append(video, caption);
  return whole;
}

// --- all together

function options(select, values, labels, chosen) {
  select.replaceChildren(...values.map((value, index) => { const option = make("option", labels[index]); option.value = value; return option; }));
  select.value = chosen;
}

function settle() {
  const protocols = Object.keys(data.protocols);
  const most = protocols.sort((a, b) => ofProtocol(b).length - ofProtocol(a).length)[0];
  if (!protocols.includes(state.protocol)) state.protocol = most ?? "";
  if (!metrics().includes(state.metric)) state.metric = metrics().includes("trajectory_error") ? "trajectory_error" : metrics()[0] ?? "";
}

function controls() {
  const protocols = Object.keys(data.protocols);
  options(at("protocol"), protocols, protocols.map(hash => `${short(hash)} (${ofProtocol(hash).length} measured)`), state.protocol);
  options(at("metric"), metrics(), metrics().map(title), state.metric);
  if (at("filter").value !== state.filter) at("filter").value = state.filter;
  at("protocol-fields").textContent = Object.entries(data.protocols[state.protocol] ?? {})
    .map(([key, value]) => `${key} ${typeof value === "string" && value.length === 64 ? short(value) : JSON.stringify(value)}`).join(" · ");
}

function render() {
  settle();
  controls();
  const rows = visibleRows();
  for (const part of [table, chooser, graph, details, gallery]) part(rows);
  at("summary").textContent = `${data.checkpoints.length} checkpoints, ${rows.length} of ${ofProtocol(state.protocol).length} measurements shown` + (data.note ? ` (${data.note})` : "");
  const kept = Object.entries(state).filter(([, value]) => value !== "");
  history.replaceState(null, "", "#" + new URLSearchParams(kept));
}

function change(values) { Object.assign(state, values); render(); }

at("filter").oninput = event => change({ filter: event.target.value });
at("protocol").onchange = event => change({ protocol: event.target.value, clips: "" });
at("metric").onchange = event => change({ metric: event.target.value });
render();
