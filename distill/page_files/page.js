"use strict";
// Draws the report from the data in this file. Text is only ever set as text: what a model wrote stays what it wrote.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const { study, outcomes: OUTCOMES, block: BLOCK, cap: CAP, rollouts: COUNTS, kept: KEPT, problems: PROBLEMS } =
    JSON.parse($("#data").textContent);
  const KINDS = Object.keys(OUTCOMES);
  const NARROW = matchMedia("(max-width: 860px)");

  // ---- elements ------------------------------------------------------------------------------------------------
  const SVG = (tag) => document.createElementNS($("#svg").namespaceURI, tag);
  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "style") Object.assign(element.style, value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat(4).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
    return element;
  }
  const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const s = (tag, attributes, ...children) => fill(SVG(tag), attributes, children);
  const field = (label, control, full) =>
    h("label", { class: full ? "field full" : "field" }, h("span", null, label), control);
  const option = (value, text, chosen) => h("option", { value, selected: chosen }, text);
  const breakable = (name) => name.split(/(?<=[_\-/.])/).flatMap((part, i) => (i ? [h("wbr"), part] : [part]));

  // ---- numbers -------------------------------------------------------------------------------------------------
  const known = (x) => typeof x === "number" && Number.isFinite(x);
  const minus = (text) => text.replace("-", "−");
  const points = (x) => (known(x) ? minus((100 * x).toFixed(1)) : "–");
  const signed = (x) => (known(x) ? (x > 0 ? "+" : "") + points(x) : "–");
  const interval = (low, high) => (known(low) && known(high) ? `${points(low)}–${points(high)}` : "no interval");
  const between = (low, high) => (known(low) && known(high) ? `${points(low)} to ${points(high)}` : "unknown");
  const count = (n) => (known(n) ? n.toLocaleString("en") : "–");
  const times = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
  const half = (x) => (known(x) ? String(Math.round(x * 100) / 100) : "–"); // discordant counts may be averages
  const chance = (p) => (!known(p) ? "–" : p < 0.001 ? "< 0.001" : p.toFixed(3));
  const short = (n) => (!known(n) ? "–" : n < 1000 ? String(Math.round(n)) : n < 1e6 ? `${+(n / 1e3).toPrecision(3)}k` : `${+(n / 1e6).toPrecision(3)}M`);
  const size = (n) => (!known(n) ? "" : n >= 1e9 ? `${+(n / 1e9).toPrecision(3)}B` : n >= 1e6 ? `${+(n / 1e6).toPrecision(3)}M` : short(n));
  const mean = (values) => values.reduce((sum, x) => sum + x, 0) / values.length;
  const list = (items) => (items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`);
  const dotted = (items) => items.filter(Boolean).join(" · ");

  // ---- the study -----------------------------------------------------------------------------------------------
  const { rows, benchmarks, results, comparisons } = study;
  const byId = new Map(rows.map((row) => [row.id, row]));
  const place = new Map(rows.map((row, i) => [row.id, i]));
  const cells = new Map(results.map((result) => [JSON.stringify([result.row, result.benchmark]), result]));
  const cell = (row, benchmark) => cells.get(JSON.stringify([row.id, benchmark]));
  const all = (row) => benchmarks.map((benchmark) => cell(row, benchmark.name)).filter(Boolean);
  const teachers = rows.filter((row) => row.teacher);
  const students = rows.filter((row) => !row.teacher);

  /** What a row is called where nothing stands around it; never two rows the same. */
  const titles = (() => {
    const plain = (row) => (row.name && row.name !== row.label ? `${row.label} · ${row.name}` : row.label);
    const more = (row) => Object.entries(row.settings).map(([name, value]) => `${name} ${value}`).join(", ");
    const often = (texts) => texts.reduce((found, text) => found.set(text, (found.get(text) ?? 0) + 1), new Map());
    const once = rows.map(plain);
    const twice = often(once);
    const second = rows.map((row, i) => (twice.get(once[i]) > 1 && more(row) ? `${once[i]} (${more(row)})` : once[i]));
    const thrice = often(second);
    return new Map(rows.map((row, i) => [row.id, thrice.get(second[i]) > 1 ? `${second[i]} [${row.id}]` : second[i]]));
  })();
  const title = (row) => titles.get(row.id);
  const taught = (row, text) => (row.teacher && !/teacher/i.test(text) ? `teacher: ${text}` : text);

  /** Bases by size, unknown sizes last, in their order. */
  const bases = [...new Set(students.map((row) => row.base))]
    .map((name) => ({ name, rows: students.filter((row) => row.base === name) }))
    .map((base) => ({ ...base, parameters: base.rows.map((row) => row.parameters).find(known) }));
  const bySize = [...bases].sort((a, b) => (a.parameters ?? Infinity) - (b.parameters ?? Infinity) || 0);

  /** Over benchmarks; the interval from the single ones' half-widths, as of independent samples. */
  function average(row) {
    const found = all(row).filter((result) => known(result.accuracy));
    if (!found.length) return null;
    const y = mean(found.map((result) => result.accuracy));
    const wide = Math.sqrt(found.reduce((sum, r) => sum + ((r.high - r.low) / 2) ** 2, 0)) / found.length;
    const k = found.length;
    return { y, low: Math.max(0, y - wide), high: Math.min(1, y + wide), k, whole: k === benchmarks.length };
  }
  function measured(row, benchmark) {
    if (!benchmark) return average(row);
    const result = cell(row, benchmark);
    return result && known(result.accuracy)
      ? { y: result.accuracy, low: result.low, high: result.high, k: 1, whole: true, n: result.n } : null;
  }
  /** Rollouts that were run, of those that were asked for. */
  const ran = (result) => {
    const asked = Object.values(result.outcomes).reduce((sum, n) => sum + n, 0);
    return (asked || result.n * result.attempts * Math.max(1, result.accuracies.length)) - result.missing;
  };
  const each = (result, total) => (ran(result) > 0 ? total(result) / ran(result) : null);
  const TOKENS = {
    output: ["Output tokens", (result) => result.output_tokens],
    total: ["Input and output tokens", (result) => result.input_tokens + result.output_tokens],
  };
  function spent(row, benchmark, kind) {
    const found = (benchmark ? [cell(row, benchmark)] : all(row)).filter(Boolean);
    const values = found.map((result) => each(result, TOKENS[kind][1])).filter(known);
    return values.length ? mean(values) : null;
  }
  const AVERAGE = "all benchmarks (average)";
  const NOTE_AVERAGE =
    "The average weighs each benchmark equally; its interval is √(Σ half-width²) / k from the k benchmarks' own 95% (Wilson) intervals.";

  // ---- what is chosen, and the address that says so ------------------------------------------------------------
  const pair = defaultPair();
  const DEFAULTS = {
    show: "interval", bench: "", tokens: "output", a: pair[0]?.id ?? "", b: pair[1]?.id ?? "",
    in: benchmarks[0]?.name ?? "", row: pair[0]?.id ?? rows[0]?.id ?? "", outcome: "", vs: "", differs: "", q: "",
    open: "", of: "", by: "", k: "",
  };
  const state = { ...DEFAULTS };

  function readAddress() {
    const [section, query] = location.hash.slice(1).split(/\?(.*)/s);
    if (query === undefined) return null;
    const given = new URLSearchParams(query);
    for (const name of Object.keys(DEFAULTS)) state[name] = given.get(name) ?? DEFAULTS[name];
    const benchmark = (name) => benchmarks.some((known) => known.name === name);
    for (const name of ["bench", "in", "of"]) if (state[name] && !benchmark(state[name])) state[name] = DEFAULTS[name];
    for (const name of ["a", "b", "row", "vs", "by"]) if (state[name] && !byId.has(state[name])) state[name] = DEFAULTS[name];
    if (!TOKENS[state.tokens]) state.tokens = DEFAULTS.tokens;
    return section;
  }
  function writeAddress(section) {
    const changed = Object.entries(state).filter(([name, value]) => value !== DEFAULTS[name]);
    history.replaceState(null, "", `#${section}${changed.length ? `?${new URLSearchParams(changed)}` : "?"}`);
  }
  function set(section, changes) {
    Object.assign(state, changes);
    writeAddress(section);
  }

  // ---- head ----------------------------------------------------------------------------------------------------
  function drawHead() {
    document.title = study.title;
    $("h1").textContent = study.title;
    const problems = benchmarks.reduce((sum, benchmark) => sum + benchmark.n, 0);
    const rollouts = COUNTS.flat().reduce((sum, n) => sum + n, 0);
    $(".facts").textContent = dotted([
      study.made.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:[\d.]+)?(\+00:00|Z)$/, "$1 $2 UTC"), times(rows.length, "row"), times(benchmarks.length, "benchmark"), times(problems, "problem"),
      rollouts && times(rollouts, "rollout"),
    ]);
    const simulated = rows.filter((row) => row.simulated).length;
    if (simulated) {
      const which = simulated === rows.length ? "All rows are" : `${simulated} of ${rows.length} rows are`;
      $("#banner").replaceChildren(
        h("p", { class: "banner", role: "note" }, h("b", null, "SIMULATED. "),
          `${which} drawn from a random generator, for trying this report: no model was run. Nothing here is a measurement of any model${simulated === rows.length ? "" : " in those rows"}.`));
    }
    const notes = study.notes.map((note) => h("li", null, note));
    const few = notes.length > 5 ? 3 : notes.length;
    $("#notes").replaceChildren(...notes.slice(0, few),
      ...(few < notes.length ? [h("li", { class: "rest" }, h("details", null, h("summary", null, `${notes.length - few} more notes`), h("ul", null, notes.slice(few))))] : []));
    if (study.command) $("#how pre").textContent = study.command;
    else $("#how").remove();
  }
  const simulatedTag = (row) => (row.simulated ? h("span", { class: "tag warn" }, "simulated") : null);

  // ---- table ---------------------------------------------------------------------------------------------------
  const some = (test) => results.some(test);
  const seeds = (result) => result.accuracies.length > 1;
  const share = (name, x) => (known(x) ? `${name} ${points(x)}` : null);
  const byK = (name, values) => Object.entries(values).map(([k, x]) => share(`${name}@${k}`, x));
  const SHOWN = {
    interval: ["95% interval", () => true, (r) => interval(r.low, r.high)],
    exact: ["exact match and F1", (r) => known(r.f1) || known(r.exact_match), (r) => [share("EM", r.exact_match), share("F1", r.f1)]],
    pass: ["pass@k", (r) => Object.keys(r.pass_at).length, (r) => byK("pass", r.pass_at)],
    majority: ["majority@k", (r) => Object.keys(r.majority_at).length, (r) => byK("maj", r.majority_at)],
    seeds: ["seeds", seeds, (r) => (seeds(r) ? [`± ${points(r.spread)} sd`, r.accuracies.map(points).join(" ")] : null)],
    tokens: ["tokens per rollout", () => true, (r) => [`${short(each(r, TOKENS.output[1]))} out`, `${short(each(r, (x) => x.input_tokens))} in`]],
    seconds: ["seconds per rollout", () => true, (r) => { const x = each(r, (y) => y.seconds); return known(x) ? `${x.toFixed(1)} s` : null; }],
    votes: ["votes", (r) => known(r.agreement), (r) => (known(r.agreement) ? [`${points(r.agreement)}% agree`, known(r.sampled) ? `of ${half(r.sampled)}` : null] : null)],
    limits: ["limits reached", (r) => Object.keys(r.limits).length, (r) => Object.entries(r.limits).map(([name, n]) => `${name} ${n}`)],
  };

  function drawTable(focused) {
    const offered = Object.entries(SHOWN).filter(([, [, test]]) => some(test));
    if (!offered.some(([name]) => name === state.show)) state.show = "interval";
    const choose = h("select", { onchange: (event) => { set("table", { show: event.target.value }); drawTable(true); } },
      offered.map(([name, [text]]) => option(name, text, name === state.show)));
    $("#table-controls").replaceChildren(field("below the accuracy", choose));
    if (focused) choose.focus({ preventScroll: true });

    const [shown, , tell] = SHOWN[state.show];
    const scorer = (benchmark) => {
      const found = [...new Set(results.filter((r) => r.benchmark === benchmark.name).map((r) => r.scorer))];
      return found.length === 1 && found[0] !== "exact" ? found[0] : null;
    };
    const head = h("thead", null, h("tr", null,
      h("th", { class: "stick", scope: "col" }, "Method", h("small", null, `accuracy, %; ${shown}`)),
      h("th", { class: "mean", scope: "col" }, "Average", h("small", null, `of ${benchmarks.length}`)),
      benchmarks.map((b) => h("th", { scope: "col" }, breakable(b.name),
        h("small", null, b.kind), h("small", null, `n ${count(b.n)}`), scorer(b) && h("small", null, scorer(b))))));

    const body = (name, parameters, members, mark) => {
      const top = new Map();
      const means = members.map(average).filter((value) => value?.whole).map((value) => value.y);
      if (mark && members.length > 1) {
        top.set("", Math.max(...means));
        for (const { name: b } of benchmarks) top.set(b, Math.max(...members.map((row) => cell(row, b)?.accuracy).filter(known)));
      }
      const number = (x, b) => {
        const best = known(x) && x === top.get(b);
        return [best, [h("b", null, points(x)), best && h("span", { class: "sr" }, " (best of its base)")]];
      };
      const small = (lines) => [lines].flat().filter(Boolean).map((line) => h("small", null, line));
      const line = (row) => {
        const value = average(row);
        const [best, text] = value ? number(value.y, value.whole ? "" : null) : [false, h("span", { class: "none" }, "–")];
        const repeated = all(row).map((r) => [r.attempts, r.accuracies.length]);
        const most = (i) => Math.max(0, ...repeated.map((pairs) => pairs[i]));
        return h("tr", null,
          h("th", { class: "stick", scope: "row" }, row.label, " ", simulatedTag(row),
            h("small", null, breakable(dotted([(row.teacher || row.name !== row.base) && row.name, most(0) > 1 && `${most(0)} attempts`, most(1) > 1 && `${most(1)} seeds`]))),
            titles.get(row.id).includes("(") && Object.keys(row.settings).length
              ? h("small", null, Object.entries(row.settings).map(([k, v]) => `${k} ${v}`).join(", ")) : null),
          h("td", { class: best ? "mean best" : "mean" }, text, value && small(state.show === "interval" ? interval(value.low, value.high)
            : state.show === "tokens" ? [`${short(spent(row, "", "output"))} out`] : null),
            value && !value.whole && h("small", { class: "flag" }, `of ${value.k} only`)),
          benchmarks.map((b) => {
            const result = cell(row, b.name);
            if (!result) return h("td", { class: "none" }, "–");
            const [isBest, shownNumber] = number(result.accuracy, b.name);
            return h("td", { class: isBest ? "best" : null }, shownNumber, small(tell(result)),
              result.n !== b.n && h("small", null, `n ${count(result.n)}`),
              !scorer(b) && result.scorer !== "exact" && h("small", null, result.scorer),
              result.failed > 0 && h("small", { class: "flag" }, `${count(result.failed)} failed`),
              result.missing > 0 && h("small", { class: "flag" }, `${count(result.missing)} missing`));
          }));
      };
      return h("tbody", null,
        h("tr", { class: "group" }, h("th", { colspan: benchmarks.length + 2, scope: "rowgroup" },
          h("span", null, name, size(parameters) && h("small", null, `${size(parameters)} parameters`)))),
        members.map(line));
    };
    $("#results").replaceChildren(h("caption", { class: "sr" }, "Accuracy by row and benchmark"), head,
      ...(teachers.length ? [body(teachers.length > 1 ? "Teachers" : "Teacher", null, teachers, false)] : []),
      ...bases.map((base) => body(base.name, base.parameters, base.rows, true)));
    $("#table-foot").textContent =
      `Shaded: the best of its base model. ${NOTE_AVERAGE} Failed and missing rollouts count as wrong. – was not run.`;
  }

  // ---- drawing -------------------------------------------------------------------------------------------------
  const HUES = ["agent", "cot", "cot_rag", "agent_prompted", "cot_prompted"];
  const others = [...new Set(students.map((row) => row.method))].filter((method) => !HUES.includes(method));
  const hue = (row) => row.teacher ? "hue-teacher" : HUES.includes(row.method) ? `hue-${row.method}` : `hue-x${others.indexOf(row.method) % 4}`;
  /** Which of a method's ways of sampling: 0 plain, then hatched, then hatched the other way, then dotted. */
  const ways = new Map();
  for (const row of students) {
    const found = ways.get(row.method) ?? [];
    if (!found.includes(row.label)) ways.set(row.method, [...found, row.label]);
  }
  const variant = (row) => (row.teacher ? 0 : Math.min(3, ways.get(row.method).indexOf(row.label)));
  const series = [...new Map(students.map((row) => [row.label, row])).values()];

  const hatches = () => s("defs", null, [[45, 5], [-45, 5], [0, 4]].map(([turn, gap], i) =>
    s("pattern", { id: `hatch${i + 1}`, width: gap, height: gap, patternUnits: "userSpaceOnUse", patternTransform: `rotate(${turn})` },
      s("line", { class: "hatch", x1: 0, y1: 0, x2: 0, y2: gap }))));
  const bar = (row, x, y, width, height) => [
    s("rect", { class: `bar ${hue(row)}`, x, y, width, height, rx: 1.5 }),
    variant(row) ? s("rect", { x, y, width, height, fill: `url(#hatch${variant(row)})` }) : null,
  ];
  const SHAPES = [
    (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
    (r) => `M${-r * 0.9} ${-r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}z`,
    (r) => `M0 ${-r * 1.15}L${r * 1.1} ${r * 0.85}H${-r * 1.1}z`,
    (r) => `M0 ${-r * 1.3}L${r * 1.3} 0L0 ${r * 1.3}L${-r * 1.3} 0z`,
    (r) => `M0 ${r * 1.15}L${r * 1.1} ${-r * 0.85}H${-r * 1.1}z`,
  ];
  const shape = (row) => SHAPES[row.teacher ? 3 : Math.max(0, bySize.findIndex((base) => base.name === row.base)) % SHAPES.length];
  const dot = (row, x, y, r = 5.5) =>
    s("path", { class: `dot ${hue(row)}${variant(row) ? " open" : ""}`, d: shape(row)(r), transform: `translate(${x} ${y})` });
  const swatch = (...content) => s("svg", { width: 16, height: 14, "aria-hidden": "true" }, content);

  const tip = $("#tip");
  /** lines: what is told of the element; or a function of the pointer's event that says it. */
  function tipped(element, lines, click) {
    const show = (event) => {
      const [first, ...rest] = typeof lines === "function" ? lines(event) : lines;
      tip.replaceChildren(h("b", null, first), ...rest.map((line) => h("div", null, line)));
      tip.hidden = false;
      const { width, height } = tip.getBoundingClientRect();
      tip.style.left = `${Math.max(6, Math.min(innerWidth - width - 6, event.clientX + 14))}px`;
      tip.style.top = `${event.clientY + height + 22 > innerHeight ? event.clientY - height - 12 : event.clientY + 16}px`;
    };
    element.addEventListener("pointermove", show);
    element.addEventListener("pointerdown", show);
    element.addEventListener("pointerleave", () => { tip.hidden = true; });
    if (click) {
      element.dataset.link = "";
      element.addEventListener("click", (event) => { if (event.detail) { tip.hidden = true; click(); } });
    }
    return element;
  }
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  const benchmarkChoice = (section, word) => field("on", h("select", {
    "aria-label": "Benchmark of the figures",
    onchange: (event) => { set(section, { bench: event.target.value }); drawFigures(section); },
  }, option("", word, !state.bench), benchmarks.map((b) => option(b.name, b.name, b.name === state.bench))));
  const where = () => state.bench || AVERAGE;
  const simulatedNote = () => (rows.some((row) => row.simulated) ? " Simulated outcomes: no model was run." : "");

  function drawFigures(focused) {
    const set = (id, controls) => {
      $(`#${id} .controls`).replaceChildren(...controls);
      if (focused === id) $("select", $(`#${id} .controls`)).focus({ preventScroll: true });
    };
    set("figure", [benchmarkChoice("figure", AVERAGE)]);
    set("tokens", [benchmarkChoice("tokens", AVERAGE), field("x", h("select", {
      onchange: (event) => { state.tokens = event.target.value; writeAddress("tokens"); drawTokens(); },
    }, Object.entries(TOKENS).map(([name, [text]]) => option(name, text.toLowerCase(), name === state.tokens))))]);
    set("outcomes", [benchmarkChoice("outcomes", "all benchmarks together")]);
    drawBars();
    drawTokens();
    drawOutcomes();
  }

  function yAxis(top, left, right, y) {
    const step = top <= 0.25 ? 0.05 : top <= 0.5 ? 0.1 : 0.2;
    const ticks = [];
    for (let value = 0; value <= top + 1e-9; value += step) ticks.push(value);
    return ticks.map((value) => [
      s("line", { class: value ? "grid" : "axis", x1: left, x2: right, y1: y(value), y2: y(value) }),
      s("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, Math.round(100 * value)),
    ]);
  }
  const ceiling = (values) => Math.min(1, Math.max(0.1, Math.ceil(Math.max(0, ...values.filter(known)) * 10 + 0.15) / 10));
  const told = (row, value) => [
    title(row), `${points(value.y)}% (95% interval ${between(value.low, value.high)})`,
    ...(value.n ? [`n = ${count(value.n)}`] : []), ...(value.whole ? [] : [`average of ${value.k} benchmarks only`]),
    ...(row.simulated ? ["simulated"] : []),
  ];
  const cut = (text, width, letter = 6.6) => {
    const most = Math.max(3, Math.floor(width / letter));
    return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
  };

  function drawBars() {
    const box = $("#figure .plot");
    const groups = bySize.map((base) => ({
      ...base,
      bars: base.rows.map((row) => ({ row, value: measured(row, state.bench) })).filter(({ value }) => value)
        .sort((a, b) => series.findIndex((r) => r.label === a.row.label) - series.findIndex((r) => r.label === b.row.label)),
    })).filter(({ bars }) => bars.length);
    const lines = teachers.map((row) => ({ row, value: measured(row, state.bench) })).filter(({ value }) => value);
    const bars = groups.flatMap((group) => group.bars);
    if (!bars.length && !lines.length) return void box.replaceChildren(h("p", { class: "empty" }, "Nothing was run on this benchmark."));

    const slots = bars.length + groups.length * 1.1;
    const width = Math.max(box.clientWidth - 14, 60 + slots * 13);
    const [left, right, above, height] = [40, width - 8, 22, Math.min(400, Math.max(280, width * 0.42))];
    const floor = height - 44;
    const top = ceiling([...bars, ...lines].map(({ value }) => value.high));
    const y = (value) => floor - (value / top) * (floor - above);
    const slot = Math.min(64, (right - left) / Math.max(1, slots));
    const gap = (right - left - bars.length * slot) / Math.max(1, groups.length);
    const thick = slot * 0.84;

    const drawn = [];
    const fit = groups.every((group) => group.name.length * 7 < gap + group.bars.length * slot - 10);
    let x = left;
    for (const group of groups) {
      const wide = gap + group.bars.length * slot;
      const middle = x + wide / 2;
      const name = !fit && size(group.parameters) ? size(group.parameters) : cut(group.name, wide - 10, 7);
      drawn.push(
        s("text", { class: "name", x: middle, y: floor + 18, "text-anchor": "middle" }, name),
        size(group.parameters) && size(group.parameters) !== name
          ? s("text", { x: middle, y: floor + 35, "text-anchor": "middle" }, size(group.parameters)) : null);
      x += gap / 2;
      for (const { row, value } of group.bars) {
        const at = x + (slot - thick) / 2;
        const middle = x + slot / 2;
        drawn.push(bar(row, at, y(value.y), thick, Math.max(0.5, floor - y(value.y))));
        if (known(value.low) && known(value.high)) {
          const cap = Math.min(4, thick / 4);
          drawn.push(s("path", { class: "whisker", d: `M${middle} ${y(value.low)}V${y(value.high)}M${middle - cap} ${y(value.low)}h${2 * cap}M${middle - cap} ${y(value.high)}h${2 * cap}` }));
        }
        if (thick >= 26) drawn.push(s("text", { class: "value halo", x: middle, y: y(known(value.high) ? value.high : value.y) - 6, "text-anchor": "middle" }, points(value.y)));
        drawn.push(tipped(s("rect", { class: "hit", x, y: above, width: slot, height: floor - above }), told(row, value),
          () => look({ row: row.id, in: state.bench, outcome: "" })));
        x += slot;
      }
      x += gap / 2;
    }
    let taken = Infinity; // labels from below upwards would meet: each keeps a line's height from the last
    const dashes = lines.sort((a, b) => b.value.y - a.value.y).map(({ row, value }) => {
      const at = Math.max(y(value.y) - 6, taken === Infinity ? -Infinity : taken + 14);
      taken = at;
      return [
        s("line", { class: "teacher", x1: left, x2: right, y1: y(value.y), y2: y(value.y) }),
        tipped(s("text", { class: "name halo", x: left + 4, y: at }, `${cut(taught(row, title(row)), right - left - 60)} ${points(value.y)}`), told(row, value)),
      ];
    });
    const words = `Bar chart of accuracy on ${where()}: ${bars.map(({ row, value }) => `${title(row)} ${points(value.y)}%`).join("; ")}`
      + `${lines.map(({ row, value }) => `; teacher ${title(row)} ${points(value.y)}%`).join("")}. The table above has the numbers.`;
    box.replaceChildren(s("svg", { width, height, role: "img", "aria-label": words }, hatches(), yAxis(top, left, right, y),
      s("text", { x: left - 32, y: 12 }, "accuracy, %"), drawn, dashes));
    const present = series.filter((row) => bars.some((b) => b.row.label === row.label));
    $("#figure .legend").replaceChildren(
      ...present.map((row) => h("span", null, swatch(hatches(), bar(row, 1, 1, 14, 12)), row.label)),
      ...(lines.length ? [h("span", null, swatch(s("line", { class: "teacher", x1: 0, x2: 16, y1: 7, y2: 7 })), "teacher")] : []));
    $("#figure .foot").textContent =
      `Bars: ${state.bench ? "accuracy with its 95% interval (Wilson)" : "average accuracy with its 95% interval"}; base models by number of parameters. ${state.bench ? "" : NOTE_AVERAGE}${simulatedNote()}`;
  }

  function drawTokens() {
    const box = $("#tokens .plot");
    const marks = rows.map((row) => ({ row, value: measured(row, state.bench), cost: spent(row, state.bench, state.tokens) }))
      .filter(({ value, cost }) => value && cost > 0);
    if (!marks.length) return void box.replaceChildren(h("p", { class: "empty" }, "No tokens were recorded here."));
    const width = Math.max(box.clientWidth - 14, 300);
    const [left, right, above, height] = [40, width - 16, 24, Math.min(440, Math.max(300, width * 0.5))];
    const floor = height - 46;
    const top = ceiling(marks.map(({ value }) => value.high));
    const y = (value) => floor - (value / top) * (floor - above);
    const costs = marks.map(({ cost }) => Math.log10(cost));
    let [from, to] = [Math.min(...costs), Math.max(...costs)];
    const room = Math.max(0.08, (to - from) * 0.07, (0.6 - (to - from)) / 2);
    [from, to] = [from - room, to + room];
    const x = (cost) => left + ((Math.log10(cost) - from) / (to - from)) * (right - left);
    const ticks = [];
    for (let power = Math.floor(from); power <= to; power++)
      for (const digit of to - from > 2.5 ? [1] : to - from > 1.2 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7]) {
        const value = digit * 10 ** power;
        if (Math.log10(value) >= from && Math.log10(value) <= to && (!ticks.length || x(value) - x(ticks.at(-1)) > 34)) ticks.push(value);
      }
    // One line for each method, from size to size.
    const paths = series.map((first) => {
      const line = bySize.map((base) => marks.filter(({ row }) => !row.teacher && row.base === base.name && row.label === first.label)).filter((found) => found.length === 1).flat();
      return line.length > 1 ? s("path", { class: `path ${hue(first)}`, d: `M${line.map(({ cost, value }) => `${x(cost)} ${y(value.y)}`).join("L")}` }) : null;
    });
    const taken = marks.map(({ cost, value }) => [x(cost) - 8, y(value.y) - 8, x(cost) + 8, y(value.y) + 8]);
    const free = (a) => a[0] > left && a[2] < right + 12 && a[1] > 4 && a[3] < floor && !taken.some((b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]);
    const label = ({ row, cost, value }) => {
      const text = row.teacher ? taught(row, row.label) : bySize.length > 1 ? `${row.label}, ${size(row.parameters) || row.base}` : title(row);
      const [cx, cy, wide] = [x(cost), y(value.y), text.length * 6.1 + 4];
      for (const [lx, ly, anchor] of [[cx + 11, cy + 4, "start"], [cx - 11, cy + 4, "end"], [cx + 9, cy - 9, "start"], [cx + 9, cy + 17, "start"], [cx - 9, cy - 9, "end"], [cx - 9, cy + 17, "end"]]) {
        const start = anchor === "start" ? lx : lx - wide;
        const area = [start, ly - 11, start + wide, ly + 3];
        if (!free(area)) continue;
        taken.push(area);
        return s("text", { class: "halo", x: lx, y: ly, "text-anchor": anchor }, text);
      }
      return null; // told by colour, shape and pointer
    };
    const best = [...marks].sort((a, b) => b.value.y - a.value.y);
    const labels = width > 560 ? best.map(label) : [];
    const words = `Scatter plot of accuracy on ${where()} against ${TOKENS[state.tokens][0].toLowerCase()} per rollout: `
      + `${marks.map(({ row, value, cost }) => `${title(row)} ${points(value.y)}% with ${short(cost)}`).join("; ")}.`;
    box.replaceChildren(s("svg", { width, height, role: "img", "aria-label": words }, yAxis(top, left, right, y),
      s("text", { x: left - 32, y: 12 }, "accuracy, %"),
      ticks.map((value) => [
        s("line", { class: "grid", x1: x(value), x2: x(value), y1: above, y2: floor }),
        s("text", { x: x(value), y: floor + 17, "text-anchor": "middle" }, short(value))]),
      s("text", { x: (left + right) / 2, y: floor + 37, "text-anchor": "middle" }, `${TOKENS[state.tokens][0].toLowerCase()} per rollout (log scale)`),
      paths,
      marks.map(({ row, value, cost }) => [
        known(value.low) && known(value.high) ? s("path", { class: `spread ${hue(row)}`, d: `M${x(cost)} ${y(value.low)}V${y(value.high)}` }) : null,
        dot(row, x(cost), y(value.y))]),
      labels,
      marks.map(({ row, value, cost }) => tipped(s("circle", { class: "hit", cx: x(cost), cy: y(value.y), r: 14 }),
        [...told(row, value), `${short(cost)} ${TOKENS[state.tokens][0].toLowerCase()} per rollout`], () => look({ row: row.id, in: state.bench, outcome: "" })))));
    const present = series.filter((row) => marks.some((mark) => mark.row.label === row.label && !mark.row.teacher));
    const dark = (base) => s("path", { d: SHAPES[bySize.indexOf(base) % SHAPES.length](5), transform: "translate(8 7)", fill: "currentColor" });
    $("#tokens .legend").replaceChildren(
      ...present.map((row) => h("span", null, swatch(s("path", { class: `dot ${hue(row)}${variant(row) ? " open" : ""}`, d: SHAPES[0](5), transform: "translate(8 7)" })), row.label)),
      ...(bySize.length > 1 ? bySize.map((base) => h("span", null, swatch(dark(base)), base.name)) : []),
      ...(marks.some(({ row }) => row.teacher) ? [h("span", null, swatch(s("path", { class: "dot hue-teacher", d: SHAPES[3](4.5), transform: "translate(8 7)" })), "teacher")] : []));
    $("#tokens .foot").textContent = `Tokens of all candidates of a step count. Up and to the left is better. ${state.bench ? "" : "Tokens are averaged over benchmarks as accuracy is. "}${simulatedNote()}`;
  }

  // ---- training ------------------------------------------------------------------------------------------------
  const DASHES = [null, "7 3", "2 3", "9 3 2 3"]; // of the first, second, … student of one colour
  const looks = (() => {
    const seen = {};
    return study.curves.map((curve) => {
      const colour = hue(byId.get(curve.rows[0]));
      seen[colour] = (seen[colour] ?? -1) + 1;
      return { curve, colour, dashes: DASHES[seen[colour] % DASHES.length] };
    });
  })();
  const loss = (value) => (known(value) ? String(+value.toPrecision(3)) : "–");
  /** The number of the last point that is not after x; 0 where all are. */
  const last = (points, x) => Math.max(0, points.findLastIndex(([at]) => at <= x));
  function heightAt(points, x) {
    const [before, after] = [points[last(points, x)], points[Math.min(last(points, x) + 1, points.length - 1)]];
    const share = after[0] > before[0] ? Math.min(1, Math.max(0, (x - before[0]) / (after[0] - before[0]))) : 0;
    return before[1] + share * (after[1] - before[1]);
  }
  /** Numbers for a scale, at 1, 2 and 5 times powers of ten. */
  const decades = (low, high) => {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
      found.push(...[1, 2, 5].map((digit) => digit * 10 ** power));
    return found.filter((value) => value >= low && value <= high);
  };
  const even = (high, most) => {
    const rough = high / most;
    const step = decades(rough, rough * 10)[0] ?? rough;
    return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, i) => i * step);
  };

  function drawTraining() {
    const box = $("#training .plot");
    const width = Math.max(box.clientWidth - 14, 300);
    const [left, right, above, height] = [52, width - 16, 22, Math.min(320, Math.max(240, width * 0.32))];
    const floor = height - 46;
    const unit = study.curves[0].unit === "tokens" ? "tokens trained on" : "steps";
    const values = study.curves.flatMap((curve) => [...curve.smooth, ...curve.validation].map(([, y]) => y));
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const log = least > 0 && most / least > 10;
    const [low, high] = log ? [least / 1.15, most * 1.15] : [0, most * 1.08 || 1];
    const share = log ? (value) => Math.log(Math.max(value, low) / low) / Math.log(high / low) : (value) => value / high;
    const y = (value) => Math.max(above, floor - share(value) * (floor - above));
    const far = Math.max(1, ...study.curves.flatMap((curve) => curve.smooth.at(-1)[0]));
    const x = (value) => left + (value / far) * (right - left);
    const path = (points) => `M${points.map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("L")}`;
    const mark = (name, d, at, value, colour) => s("path", { class: `${name} ${colour}`, d, transform: `translate(${x(at)} ${y(value)})` });
    const cursor = s("line", { class: "cursor", y1: above, y2: floor, visibility: "hidden" });
    const lines = (event) => {
      const at = Math.min(far, Math.max(0, ((event.clientX - cursor.ownerSVGElement.getBoundingClientRect().left - left) / (right - left)) * far));
      fill(cursor, { x1: x(at), x2: x(at), visibility: "visible" }, []);
      return [`${count(Math.round(at))} ${unit}`, ...study.curves.filter((curve) => at <= curve.smooth.at(-1)[0])
        .map((curve) => `${curve.label}: ${loss(heightAt(curve.smooth, at))}`)];
    };
    const area = tipped(s("rect", { class: "hit area", x: left, y: above, width: right - left, height: floor - above }), lines);
    area.addEventListener("pointerleave", () => cursor.setAttribute("visibility", "hidden"));
    const words = `Line chart of loss against ${unit}: ${study.curves.map((curve) => `${curve.label} from ${loss(curve.smooth[0][1])} to ${loss(curve.smooth.at(-1)[1])} in ${times(curve.steps, "step")}`
      + `${curve.unit === "tokens" ? ` and ${times(curve.smooth.at(-1)[0], "token")}` : ""}${curve.validation.length ? `, on validation problems ${loss(Math.min(...curve.validation.map(([, value]) => value)))} at best` : ""}`
      + `${curve.skipped.length ? `, ${times(curve.skipped.length, "step")} skipped` : ""}`).join("; ")}.`;
    box.replaceChildren(s("svg", { width, height, role: "img", "aria-label": words },
      (log ? decades(low, high) : even(high, 5)).map((value) => [
        s("line", { class: value || log ? "grid" : "axis", x1: left, x2: right, y1: y(value), y2: y(value) }),
        s("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, loss(value))]),
      s("text", { x: left - 44, y: 12 }, log ? "loss (log scale)" : "loss"),
      even(far, width > 560 ? 8 : 4).filter(Number.isInteger).map((value) => [
        s("line", { class: "axis", x1: x(value), x2: x(value), y1: floor, y2: floor + 4 }),
        s("text", { x: x(value), y: floor + 17, "text-anchor": "middle" }, short(value))]),
      s("text", { x: (left + right) / 2, y: floor + 37, "text-anchor": "middle" }, unit),
      looks.map(({ curve, colour }) => (curve.loss.length > 1 && path(curve.loss) !== path(curve.smooth) ? s("path", { class: `loss each ${colour}`, d: path(curve.loss) }) : null)),
      looks.map(({ curve, colour, dashes }) => s("path", { class: `loss ${colour}`, d: path(curve.smooth), "stroke-dasharray": dashes })),
      looks.map(({ curve, colour }) => [
        curve.validation.map(([at, value]) => mark("held", SHAPES[3](4), at, value, colour)),
        curve.skipped.map((at) => mark("skipped", CROSS, at, heightAt(curve.smooth, at), "")),
        known(curve.early) ? mark("early", SHAPES[0](4.5), curve.early, heightAt(curve.smooth, curve.early), colour) : null]),
      cursor, area));
  }
  const CROSS = "M-4 -4L4 4M-4 4L4 -4";

  /** The section as a whole; a study without curves has none. */
  function beginTraining() {
    if (!study.curves.length) {
      $("#training").remove();
      return void $('nav a[href="#training"]').remove();
    }
    const sign = (name, d, colour = "hue-teacher") => swatch(s("path", { class: `${name} ${colour}`, d, transform: "translate(8 7)" }));
    const some = (test) => study.curves.some(test);
    $("#training .legend").replaceChildren(...[
      ...looks.map(({ curve, colour, dashes }) => h("span", null, s("svg", { width: 26, height: 14, "aria-hidden": "true" },
        s("path", { class: `loss ${colour}`, d: "M1 7H25", "stroke-dasharray": dashes })), curve.label)),
      some((curve) => curve.validation.length) && h("span", null, sign("held", SHAPES[3](4.5)), "on validation problems"),
      some((curve) => known(curve.early)) && h("span", null, sign("early", SHAPES[0](4.5)), "early checkpoint"),
      some((curve) => curve.skipped.length) && h("span", null, sign("skipped", CROSS), "step skipped"),
    ].filter(Boolean));
    $("#training .foot").textContent =
      "Light: each step's loss per trained token; strong: its mean over the steps around, within a twentieth of them all. "
      + "Every student is measured on its own trajectories: the shapes of curves compare, their heights only between students of one method.";
    drawTraining();
  }

  // ---- outcomes ------------------------------------------------------------------------------------------------
  function drawOutcomes() {
    const counted = rows.map((row) => {
      const found = (state.bench ? [cell(row, state.bench)] : all(row)).filter(Boolean);
      const sums = Object.fromEntries(KINDS.map((kind) => [kind, found.reduce((sum, r) => sum + (r.outcomes[kind] ?? 0), 0)]));
      return { row, sums, total: Object.values(sums).reduce((sum, n) => sum + n, 0) };
    }).filter(({ total }) => total);
    const kinds = KINDS.filter((kind) => counted.some(({ sums }) => sums[kind]));
    const table = $("#outcomes table");
    if (!counted.length) return void table.replaceChildren(h("tbody", null, h("tr", null, h("td", null, "No outcomes were counted here."))));
    // "no answer: …" stands once, over the kinds that it begins.
    const halves = kinds.map((kind) => OUTCOMES[kind].split(": "));
    const label = (kind, text, attributes) => h("th", { scope: "col", ...attributes }, h("span", { class: `swatch o-${kind}` }), text);
    const first = kinds.map((kind, i) => {
      const [before, after] = halves[i];
      if (!after) return label(kind, before, { rowspan: 2 });
      if (halves[i - 1]?.[1] && halves[i - 1][0] === before) return null;
      const last = halves.findIndex(([text, more], j) => j > i && (!more || text !== before));
      return h("th", { class: "over", scope: "colgroup", colspan: (last < 0 ? kinds.length : last) - i }, before);
    });
    const second = kinds.map((kind, i) => halves[i][1] && label(kind, halves[i][1]));
    const go = (row, kind) => () => look({ row: row.id, in: state.bench, outcome: kind });
    table.replaceChildren(h("caption", { class: "sr" }, `Outcomes on ${where()}`),
      h("thead", null, h("tr", null, h("th", { class: "stick wide", scope: "col", rowspan: 2 }, "Row"), h("td", { class: "barcell", rowspan: 2 }), first),
        h("tr", null, second)),
      ...[true, false].flatMap((teacher) => [...new Set(counted.filter(({ row }) => row.teacher === teacher).map(({ row }) => (teacher ? "" : row.base)))]
        .map((base) => counted.filter(({ row }) => row.teacher === teacher && (teacher || row.base === base)))).map((part) => h("tbody", null, part.map(({ row, sums, total }) => h("tr", null,
        h("th", { class: "stick", scope: "row" }, taught(row, row.label), h("small", null, breakable(row.name))),
        h("td", { class: "barcell" }, h("div", { class: "stack", "aria-hidden": "true" }, kinds.filter((kind) => sums[kind]).map((kind) =>
          tipped(h("i", { class: `o-${kind}`, style: { width: `${(100 * sums[kind]) / total}%` } }),
            [title(row), `${OUTCOMES[kind]}: ${count(sums[kind])} of ${count(total)} (${points(sums[kind] / total)}%)`],
            kind === "missing" ? null : go(row, kind))))),
        kinds.map((kind) => h("td", { class: sums[kind] ? null : "none" },
          !sums[kind] ? "0" : kind === "missing" ? count(sums[kind]) : h("button", { type: "button", onclick: go(row, kind), "aria-label": `${count(sums[kind])}: read those of ${title(row)} that ended as ${OUTCOMES[kind]}` }, count(sums[kind])),
          sums[kind] ? h("small", null, `${points(sums[kind] / total)}%`) : null)))))));
    $("#outcomes .foot").textContent = `Rollouts by how they ended; all but the first are wrong. Choose a number to read them.${simulatedNote()}`;
  }

  // ---- comparison ----------------------------------------------------------------------------------------------
  /** The record of two rows, as the difference of a minus b; null where they were not compared. */
  function compared(a, b, benchmark) {
    const found = comparisons.find((c) => c.benchmark === benchmark && ((c.first === b && c.second === a) || (c.first === a && c.second === b)));
    if (!found) return null;
    if (found.second === a)
      return { ...found, onlyA: found.second_only, onlyB: found.first_only };
    const flip = (x) => (known(x) ? -x || 0 : x);
    return {
      ...found, onlyA: found.first_only, onlyB: found.second_only, difference: flip(found.difference), low: flip(found.high), high: flip(found.low),
      verdict: { better: "worse", worse: "better", tie: "tie" }[found.verdict],
    };
  }
  /** Of one size and of distilled models, those furthest apart; the better one first. */
  function defaultPair() {
    const distilled = (row) => !row.teacher && row.model !== row.base && !row.method.endsWith("_prompted");
    const valid = comparisons.filter((c) => byId.has(c.first) && byId.has(c.second) && known(c.difference));
    const whole = valid.some((c) => c.benchmark === null) ? valid.filter((c) => c.benchmark === null) : valid;
    const tests = [
      (a, b) => distilled(a) && distilled(b) && a.model !== b.model && a.base === b.base,
      (a, b) => distilled(a) && distilled(b) && a.model !== b.model,
      (a, b) => !a.teacher && !b.teacher, () => true,
    ];
    for (const test of tests) {
      const found = whole.filter((c) => test(byId.get(c.first), byId.get(c.second)));
      if (!found.length) continue;
      const { first, second, difference } = found.reduce((most, c) => (Math.abs(c.difference) > Math.abs(most.difference) ? c : most));
      return difference < 0 ? [byId.get(first), byId.get(second)] : [byId.get(second), byId.get(first)];
    }
    return [rows.find((row) => !row.teacher) ?? rows[0], rows.filter((row) => !row.teacher)[1] ?? rows[1]];
  }
  const rowOptions = (chosen) => {
    const group = (name, members) => h("optgroup", { label: name }, members.map((row) => option(row.id, title(row), row.id === chosen)));
    return [...(teachers.length ? [group("teacher", teachers)] : []), ...bases.map((base) => group(base.name, base.rows))];
  };

  function sentence(a, b, together, single) {
    const tally = (verdict) => single.filter((c) => c.verdict === verdict).length;
    const [more, less] = [tally("better"), tally("worse")];
    const per = single.length > 1
      ? ` By benchmark it is ${list([more && `better on ${more}`, less && `worse on ${less}`, tally("tie") && `tied on ${tally("tie")}`].filter(Boolean))} of ${single.length}, after Holm's correction.` : "";
    const [A, B] = [h("strong", null, title(a)), h("strong", null, title(b))];
    if (!together) return single.length ? [A, " against ", B, ".", per] : [A, " and ", B, " were not compared."];
    const over = ` over ${times(together.n, "problem")} of ${single.length > 1 ? `${single.length} benchmarks` : together.benchmark ?? single[0]?.benchmark}`;
    const range = `(95% interval ${between(together.low, together.high)})`;
    if (together.verdict === "tie") {
      const found = known(together.detectable) ? ` A true difference of ${points(together.detectable)} points would be found four times out of five.` : "";
      return [A, " and ", B, ` tie: ${signed(together.difference)} points ${range}${over}.${found}${per}`];
    }
    const size = Math.abs(together.difference);
    const [low, high] = together.difference < 0 ? [-together.high, -together.low] : [together.low, together.high];
    return [A, " is ", h("strong", { class: together.verdict }, together.verdict), " than ", B,
      ` by ${points(size)} points (95% interval ${between(low, high)})${over}.${per}`];
  }

  function drawCompare(focused) {
    const [a, b] = [byId.get(state.a), byId.get(state.b)];
    const choose = (name, chosen) => h("select", { "data-name": name, onchange: (event) => { set("compare", { [name]: event.target.value }); drawCompare(name); } }, rowOptions(chosen));
    $("#compare .controls").replaceChildren(field("A", choose("a", state.a)), field("B", choose("b", state.b)),
      h("button", { type: "button", "data-name": "swap", onclick: () => { set("compare", { a: state.b, b: state.a }); drawCompare("swap"); } }, "Swap"));
    if (focused) $(`#compare [data-name=${focused}]`).focus({ preventScroll: true });
    const table = $("#compare table");
    const [verdict, links, foot] = [$("#compare .verdict"), $("#compare .links"), $("#compare .foot")];
    links.replaceChildren();
    if (!a || !b || a === b) {
      table.replaceChildren();
      $("#compare .scroll").hidden = true;
      foot.textContent = "";
      return void verdict.replaceChildren(rows.length > 1 ? "Choose two rows that differ." : "There is one row: nothing to compare.");
    }
    const single = benchmarks.map(({ name }) => ({ name, c: compared(a.id, b.id, name) }));
    const together = compared(a.id, b.id, null);
    const present = single.map(({ c }) => c).filter(Boolean);
    // Of a single benchmark there is nothing "together": it speaks for itself.
    verdict.replaceChildren(...sentence(a, b, together ?? (present.length === 1 ? present[0] : null), present).filter(Boolean), simulatedNote());
    $("#compare .scroll").hidden = !present.length && !together;
    if (!present.length && !together) { foot.textContent = ""; return void table.replaceChildren(); }

    const most = Math.max(0.02, ...[...present, together].filter(Boolean).flatMap((c) => [c.low, c.high, c.difference]).filter(known).map(Math.abs)) * 1.06;
    const [width, step] = [320, most > 0.4 ? 0.2 : most > 0.16 ? 0.1 : most > 0.08 ? 0.05 : most > 0.03 ? 0.02 : 0.01];
    const x = (value) => width / 2 + (value / most) * (width / 2 - 6);
    const ticks = [];
    for (let i = -Math.floor(most / step); i <= most / step; i++) ticks.push(i * step);
    const plot = (height, ...content) => s("svg", { viewBox: `0 0 ${width} ${height}`, height, preserveAspectRatio: "none", "aria-hidden": "true" },
      ticks.map((value) => s("line", { class: Math.abs(value) < 1e-9 ? "zero" : "grid", x1: x(value), x2: x(value), y1: 0, y2: height, "vector-effect": "non-scaling-stroke" })), content);
    const mark = (c, whole) => plot(40, [
      known(c.low) && known(c.high) ? s("line", { class: `estimate ${c.verdict}`, x1: x(c.low), x2: x(c.high), y1: 20, y2: 20, "vector-effect": "non-scaling-stroke" }) : null,
      // A short line with round or square ends is a disc or a square, however the picture is stretched.
      s("line", { class: `estimate ${c.verdict}`, x1: x(c.difference), x2: x(c.difference) + 0.01, y1: 20, y2: 20, "stroke-width": whole ? 13 : 10, "stroke-linecap": whole ? "square" : "round", "vector-effect": "non-scaling-stroke", style: { strokeWidth: whole ? "11px" : "10px" } }),
    ]);
    const signs = { better: "▲ better", tie: "= tie", worse: "▼ worse" };
    const only = (n, name, differs, about) => !n ? h("td", { class: "none" }, "0")
      : h("td", null, h("button", { type: "button", class: "more", "aria-label": `${half(n)}: read them`, onclick: () => look({ row: state.a, vs: state.b, differs, in: name, outcome: "" }), title: about }, half(n)));
    const line = (name, c, whole) => h("tr", null,
      h("th", { class: "stick", scope: "row" }, whole ? "All together" : breakable(name)),
      !c ? h("td", { colspan: 9, class: "none" }, "not compared") : [
        h("td", null, h("b", null, signed(c.difference)), h("small", null, between(c.low, c.high))),
        h("td", { class: "forest" }, known(c.difference) ? mark(c, whole) : null),
        h("td", { class: c.verdict }, signs[c.verdict]),
        h("td", null, chance(c.p)), h("td", null, chance(c.p_holm)),
        only(c.onlyA, whole ? "" : name, "gain", "right in A, not in B"), only(c.onlyB, whole ? "" : name, "loss", "right in B, not in A"),
        h("td", null, count(c.n)),
        h("td", null, known(c.detectable) ? points(c.detectable) : "–")]);
    table.replaceChildren(
      h("caption", { class: "sr" }, `${title(a)} minus ${title(b)}, in points`),
      h("thead", null, h("tr", null, h("th", { class: "stick", scope: "col" }, "Benchmark"),
        h("th", { scope: "col" }, "A − B", h("small", null, "points, 95%")),
        h("td", { class: "forest" }, axis(ticks, x, width)),
        h("th", { scope: "col" }, "A is"), h("th", { scope: "col" }, "p"), h("th", { scope: "col" }, "p", h("small", null, "Holm")),
        h("th", { scope: "col" }, "only A", h("small", null, "right")), h("th", { scope: "col" }, "only B", h("small", null, "right")),
        h("th", { scope: "col" }, "n"),
        h("th", { scope: "col" }, "detectable", h("small", null, "points")))),
      h("tbody", null, single.map(({ name, c }) => line(name, c, false))),
      ...(together ? [h("tbody", { class: "all" }, line("", together, true))] : []));
    foot.textContent = "Paired over the problems that both were run on: interval by paired bootstrap (Bonett and Price's where fewer than ten problems differ, or all of them one way; not corrected), p by McNemar's exact test (sign flips where attempts or seeds were averaged), "
      + "Holm's correction over the benchmarks. Detectable: the smallest true difference that such a comparison finds four times out of five.";
  }
  /** Numbers of a stretched picture's scale: in per cent of its width, so that they are not stretched. */
  function axis(ticks, x, width) {
    const shown = ticks.length > 9 ? ticks.filter((value) => Math.round(value / (ticks[1] - ticks[0])) % 2 === 0) : ticks;
    return h("div", { style: { position: "relative", height: "1.4em", fontSize: ".8rem" }, "aria-hidden": "true" }, shown.map((value) =>
      h("span", { class: "none", style: { position: "absolute", left: `${(100 * x(value)) / width}%`, transform: "translateX(-50%)" } }, Math.abs(value) < 1e-9 ? "0" : minus((100 * value).toFixed(0)).replace(/^(?=\d)/, "+"))));
  }

  // ---- chunks --------------------------------------------------------------------------------------------------
  const whole = document.readyState === "loading" ? new Promise((done) => addEventListener("DOMContentLoaded", done)) : Promise.resolve();
  const opened = new Map();
  /** What is in a chunk, or null where the file has none of this name. The last forty are kept. */
  async function chunk(name) {
    if (!opened.has(name)) opened.set(name, unpack(name));
    const content = opened.get(name);
    opened.delete(name);
    opened.set(name, content);
    const old = [...opened.keys()].filter((key) => key.startsWith("t")).slice(0, -40);
    for (const key of old) opened.delete(key);
    return content;
  }
  async function unpack(name) {
    let element = document.getElementById(name);
    if (!element?.nextSibling) { // perhaps not parsed yet, or not to its end
      await whole;
      element = document.getElementById(name);
    }
    if (!element) return null;
    const binary = atob(element.textContent);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }

  const indexes = new Map();
  /** The index of a benchmark, with what is derived from it: where each problem's rollouts of a row are. */
  function index(b) {
    if (!indexes.has(b)) indexes.set(b, chunk(`index-${b}`).then((found) => {
      found.lower = found.questions.map((question, p) => `${question}\n${found.answers[p].join("\n")}\n${found.ids[p]}`.toLowerCase());
      for (const row of found.rows) {
        row.of = [];
        row.ordinal = [];
        row.position = []; // in its chunk
        const filled = [];
        row.problem.forEach((p, i) => {
          (row.of[p] ??= []).push(i);
          row.ordinal.push(row.of[p].length - 1);
          const block = Math.floor(p / BLOCK);
          row.position.push((filled[block] = (filled[block] ?? -1) + 1));
        });
      }
      return found;
    }));
    return indexes.get(b);
  }

  // ---- trajectories --------------------------------------------------------------------------------------------
  const HEIGHT = 58; // of a list item, as in page.css
  const [form, box, items, pane] = [$(".filters"), $(".list"), $(".items"), $(".pane")];
  const DIFFERS = {
    gain: ["right in A, not in B", (x, y) => x && !y], loss: ["right in B, not in A", (x, y) => !x && y],
    both: ["right in both", (x, y) => x && y], neither: ["right in neither", (x, y) => !x && !y],
  };
  let entries = [];
  let current = -1;
  let started = false;
  let asked = 0;

  const control = {
    in: h("select", { name: "in" }), row: h("select", { name: "row" }), outcome: h("select", { name: "outcome" }),
    vs: h("select", { name: "vs" }), differs: h("select", { name: "differs" }), q: h("input", { name: "q", type: "search", placeholder: "question or answer", autocomplete: "off", spellcheck: "false" }),
  };
  form.append(field("Benchmark", control.in), field("Row (A)", control.row), field("Outcome", control.outcome),
    field("Beside it (B)", control.vs), field("A and B", control.differs), field("Search", control.q));
  form.addEventListener("submit", (event) => event.preventDefault());
  let typed;
  form.addEventListener("input", (event) => {
    clearTimeout(typed);
    typed = setTimeout(() => {
      set("trajectories", { [event.target.name]: event.target.value });
      refilter();
    }, event.target === control.q ? 140 : 0);
  });

  function fillFilters() {
    control.in.replaceChildren(option("", "all benchmarks", !state.in), ...benchmarks.map((b) => option(b.name, b.name, b.name === state.in)));
    control.row.replaceChildren(option("", "all rows", !state.row), ...rowOptions(state.row));
    control.vs.replaceChildren(option("", "nothing", !state.vs), ...rowOptions(state.vs));
    control.differs.replaceChildren(option("", "any", !state.differs), ...Object.entries(DIFFERS).map(([name, [text]]) => option(name, text, name === state.differs)));
    control.differs.disabled = !state.vs;
    if (document.activeElement !== control.q) control.q.value = state.q;
  }

  /** List what the filters let through, and open what was open, else the first. */
  async function refilter() {
    started = true;
    const mine = ++asked;
    if (!state.vs) state.differs = "";
    fillFilters();
    const chosen = benchmarks.map((_, b) => b).filter((b) => !state.in || benchmarks[b].name === state.in);
    const found = await Promise.all(chosen.map(index));
    if (mine !== asked) return;
    const members = rows.map((_, r) => r).filter((r) => !state.row || rows[r].id === state.row);
    const other = state.vs ? place.get(state.vs) : -1;
    const differs = DIFFERS[state.differs]?.[1];
    const q = state.q.trim().toLowerCase();
    const counts = KINDS.map(() => 0);
    const right = (row, i) => i !== undefined && row.outcome[i] === 0;
    const listed = [];
    chosen.forEach((b, nth) => {
      const data = found[nth];
      data.ids.forEach((_, p) => {
        const named = !q || data.lower[p].includes(q);
        for (const r of members) {
          const row = data.rows[r];
          for (const i of row.of[p] ?? []) {
            if (!named && !(row.answer[i] ?? "").toLowerCase().includes(q)) continue;
            if (differs && !differs(right(row, i), right(data.rows[other], partner(data, other, p, row.ordinal[i])))) continue;
            counts[row.outcome[i]]++;
            if (state.outcome === "" || (state.outcome === "not" ? row.outcome[i] : KINDS[row.outcome[i]] === state.outcome)) listed.push({ b, r, i, p, data });
          }
        }
      });
    });
    const total = counts.reduce((sum, n) => sum + n, 0);
    control.outcome.replaceChildren(option("", `all (${count(total)})`, !state.outcome), option("not", `all but right (${count(total - counts[0])})`, state.outcome === "not"),
      ...KINDS.filter((kind, i) => counts[i] || kind === state.outcome).map((kind) => option(kind, `${OUTCOMES[kind]} (${count(counts[KINDS.indexOf(kind)])})`, kind === state.outcome)));
    entries = listed;
    $(".count").textContent = `${count(entries.length)} of ${count(COUNTS.flat().reduce((sum, n) => sum + n, 0))} rollouts`;
    items.style.height = `${entries.length * HEIGHT}px`;
    const { open, of, by, k } = state;
    const was = entries.findIndex((e) => open && e.data.ids[e.p] === open && (!of || benchmarks[e.b].name === of) && (!by || rows[e.r].id === by) && String(e.data.rows[e.r].ordinal[e.i]) === (k || "0"));
    box.scrollTop = 0;
    if (entries.length) show(Math.max(0, was), false);
    else {
      current = -1;
      drawList();
      pane.replaceChildren();
    }
  }
  /** The other row's rollout of the same problem: of the same repetition, else its first. */
  function partner(data, r, p, ordinal) {
    const found = data.rows[r].of[p];
    return found?.[ordinal] ?? found?.[0];
  }
  const isRight = (row, i) => row.outcome[i] === 0;
  const sign = (row, i) => h("span", { class: isRight(row, i) ? "sign right" : "sign not", role: "img", "aria-label": OUTCOMES[KINDS[row.outcome[i]]] }, isRight(row, i) ? "✓" : row.outcome[i] === 1 ? "✗" : "–");
  const said = (row, i) => (KINDS[row.outcome[i]] === "wrong" || isRight(row, i) ? row.answer[i] : OUTCOMES[KINDS[row.outcome[i]]].replace("no answer: ", ""));

  function drawList() {
    if (!entries.length) return void items.replaceChildren(h("div", { class: "empty" }, COUNTS.flat().some(Boolean) ? "No rollout passes these filters." : "This report was made without rollouts."));
    const from = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 4);
    const to = Math.min(entries.length, Math.ceil((box.scrollTop + box.clientHeight) / HEIGHT) + 4);
    const drawn = [];
    for (let n = from; n < to; n++) {
      const { b, r, i, p, data } = entries[n];
      const row = data.rows[r];
      const tail = [!state.in && benchmarks[b].name, !state.row && title(rows[r]), row.of[p].length > 1 && `no. ${row.ordinal[i] + 1}`];
      drawn.push(h("div", { class: "item", role: "option", id: `item-${n}`, "aria-selected": String(n === current), "aria-setsize": entries.length, "aria-posinset": n + 1, style: { top: `${n * HEIGHT}px` },
        onclick: () => { show(n, true); if (NARROW.matches) pane.scrollIntoView({ block: "start" }); } },
        sign(row, i), h("div", { class: "q" }, data.questions[p].slice(0, 300)),
        h("div", { class: "a" }, dotted([...tail, said(row, i) ?? "–"]).slice(0, 200))));
    }
    items.replaceChildren(...drawn);
    if (current >= 0) box.setAttribute("aria-activedescendant", `item-${current}`);
    else box.removeAttribute("aria-activedescendant");
  }
  box.addEventListener("scroll", () => requestAnimationFrame(drawList), { passive: true });
  box.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(box.clientHeight / HEIGHT) - 1);
    const to = { ArrowDown: current + 1, ArrowUp: current - 1, PageDown: current + page, PageUp: current - page, Home: 0, End: entries.length - 1 }[event.key];
    if (event.key === "Enter" && current >= 0) pane.focus();
    else if (to === undefined || !entries.length) return;
    else show(Math.max(0, Math.min(entries.length - 1, to)), true);
    event.preventDefault();
  });

  /** Open the nth of the list; `chosen` by the reader, and so part of the address. */
  async function show(n, chosen) {
    current = n;
    const mine = ++asked;
    const { b, r, i, p, data } = entries[n];
    const [topEdge, bottom] = [n * HEIGHT, (n + 1) * HEIGHT];
    if (topEdge < box.scrollTop) box.scrollTop = topEdge;
    else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = chosen ? bottom - box.clientHeight : topEdge - 2 * HEIGHT;
    drawList();
    if (chosen) {
      const ordinal = data.rows[r].ordinal[i];
      set("trajectories", { open: data.ids[p], of: state.in ? "" : benchmarks[b].name, by: state.row ? "" : rows[r].id, k: ordinal ? String(ordinal) : "" });
    }
    const sides = [[r, i]];
    if (state.vs && place.get(state.vs) !== r) sides.push([place.get(state.vs), partner(data, place.get(state.vs), p, data.rows[r].ordinal[i])]);
    const loaded = await Promise.all(sides.map(([row, at]) => trajectory(b, row, p, data, at)));
    const prompts = await chunk("prompts");
    if (mine !== asked) return;
    const move = (by, text) => h("button", { class: "back", type: "button", disabled: !entries[n + by], onclick: () => { show(n + by, true); pane.scrollIntoView({ block: "start" }); } }, text);
    pane.replaceChildren(
      h("button", { class: "back", type: "button", onclick: () => { form.scrollIntoView({ block: "start" }); box.focus({ preventScroll: true }); } }, "↑ List"), " ", move(-1, "‹ Previous"), " ", move(1, "Next ›"),
      h("div", { class: "ask" },
        h("p", { class: "where" }, `${benchmarks[b].name} · problem ${data.ids[p]}`),
        h("p", { class: "question" }, data.questions[p]),
        h("p", { class: "gold" }, h("span", null, data.answers[p].length > 1 ? "Answers that count" : "Answer that counts"), data.answers[p].map((answer) => h("code", null, answer)))),
      h("div", { class: sides.length > 1 ? "sides two" : "sides" },
        sides.map(([row, at], side) => drawSide(rows[row], data.rows[row], at, data.questions[p], loaded[side], prompts, sides.length > 1 ? "AB"[side] : ""))));
  }
  async function trajectory(b, r, p, data, i) {
    if (i === undefined) return null;
    return (await chunk(`trajectories-${b}-${r}-${Math.floor(p / BLOCK)}`))?.[data.rows[r].position[i]] ?? null;
  }

  function drawSide(row, column, i, question, run, prompts, letter) {
    const heading = h("h3", null, letter && `${letter}: `, title(row), " ", simulatedTag(row));
    if (i === undefined) return h("article", { class: "side" }, h("header", null, heading), h("p", { class: "none" }, "Never run on this problem."));
    const kind = KINDS[column.outcome[i]];
    const answer = column.answer[i];
    const score = column.score[i];
    const plain = [
      (known(score) ? `score ${half(score)}` : "not scored") + (run?.scorer ? ` (${run.scorer})` : ""),
      run && `stop: ${run.stop}`, `${count(column.output[i])} tokens out`, `${count(column.input[i])} in`,
      run && times(run.requests, "request"), known(column.seconds[i]) && `${column.seconds[i].toFixed(1)} s`,
      `attempt ${column.attempt[i]}`, run?.samples > 1 && `N=${run.samples}`, known(run?.temperature) && `T=${run.temperature}`,
      run?.tools?.length && `tools: ${run.tools.join(", ")}`, run?.first_thought && `first thought given (${run.first_thought})`,
    ].filter(Boolean);
    return h("article", { class: "side" },
      h("header", null, heading,
        h("p", { class: "answer" }, sign(column, i), " ", answer === null ? h("span", { class: "none" }, "no answer") : h("code", null, answer === "" ? "(empty)" : answer),
          kind === "right" || kind === "wrong" ? null : [" ", h("span", { class: "tag bad" }, OUTCOMES[kind])]),
        h("p", { class: "meta" }, plain.map((text) => h("span", null, text))),
        run?.error ? h("div", { class: "error" }, run.error) : null),
      run ? turns(run, question, prompts)
        : h("p", { class: "left" }, `This trajectory was left out, to keep the file small. ${row.runs.length ? `It is in ${list(row.runs)}.` : "It is in its run's folder."}`));
  }

  function turns(run, question, prompts) {
    let step = 0;
    let task = true;
    return run.messages.map(([role, first, after], at) => {
      if (role === "system") {
        const prompt = prompts[first];
        return h("div", { class: "turn" }, h("details", null, h("summary", null, `System prompt (${count(prompt.length)} characters)`), h("div", { class: "text" }, prompt)));
      }
      const text = after === undefined ? first : first + question + after;
      if (role === "user" && task) {
        task = false;
        const added = after === undefined ? text : first + after;
        return h("div", { class: "turn" }, h("details", { open: added.length > 60 }, h("summary", null, "Task as sent"), long(text, 14)));
      }
      if (role === "user") {
        const [, body] = text.match(/^Observation:\n?([\s\S]*)$/) ?? [null, text];
        const fault = body.search(/^Error:/m);
        return h("div", { class: "turn seen" }, h("div", { class: "who" }, h("b", null, body === text ? "To the model" : "Observation")),
          fault < 0 ? long(body, 24) : [long(body.slice(0, fault).trimEnd(), 24), long(body.slice(fault), 24, "oops")]);
      }
      const record = run.steps.find((known) => known.message === at) ?? {};
      step++;
      const votes = record.votes;
      return h("div", { class: "turn" },
        h("div", { class: "who" }, h("b", null, run.steps.length > 1 || run.method.includes("agent") ? `Step ${step}` : "Reply"),
          known(record.seconds) && `${record.seconds.toFixed(1)} s`,
          votes && h("span", { title: `${votes.parsed} parsed, ${votes.executed} ran without an error` }, ballots(votes), `${votes.votes} of ${votes.sampled} agree, ${times(votes.distinct, "outcome")}, ${votes.parsed} parsed, ${votes.executed} ran`),
          record.error && h("span", { class: "tag bad" }, { parsing: "did not parse", execution: "raised", other: "error" }[record.error] ?? record.error),
          record.limit && h("span", { class: "tag bad" }, `limit: ${record.limit}`),
          record.finish_reason === "length" && h("span", { class: "tag bad" }, "cut off")),
        parts(text));
    });
  }
  const ballots = (votes) => votes.sampled > 32 ? null : h("span", { class: "votes", "aria-hidden": "true" },
    Array.from({ length: votes.sampled }, (_, n) => h("i", { class: n < votes.votes ? "for" : n < votes.executed ? null : "dead" })));

  /** What the model wrote: words, code, and the answer of a chain of thought. */
  function parts(text) {
    const pattern = /<code>\n?([\s\S]*?)(?:<\/code>|$)|```(?:py|python)?\n([\s\S]*?)(?:```|$)|<answer>([\s\S]*?)(?:<\/answer>|$)/g;
    const drawn = [];
    let end = 0;
    const words = (piece) => {
      const trimmed = piece.replace(/^\s*Thought:[ \t]*/, "").trim();
      if (trimmed) drawn.push(long(trimmed, 40));
    };
    for (const match of text.matchAll(pattern)) {
      words(text.slice(end, match.index));
      end = match.index + match[0].length;
      const code = match[1] ?? match[2];
      if (code !== undefined) drawn.push(h("pre", { "aria-label": "Code" }, h("code", null, coloured(code.trimEnd()))));
      else drawn.push(h("p", { class: "final" }, h("span", { class: "sr" }, "Answer: "), match[3].trim() || "(empty)"));
    }
    words(text.slice(end));
    return drawn.length ? drawn : h("p", { class: "none" }, "(nothing was written)");
  }
  const TOKEN = /(#[^\n]*)|("""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)|\b(and|as|assert|async|await|break|class|continue|def|del|elif|else|except|False|finally|for|from|global|if|import|in|is|lambda|None|nonlocal|not|or|pass|raise|return|True|try|while|with|yield)\b|\b(\d[\d_.]*(?:e[+-]?\d+)?)/g;
  function coloured(code) {
    if (code.length > 20000) return code;
    const drawn = [];
    let end = 0;
    for (const match of code.matchAll(TOKEN)) {
      drawn.push(code.slice(end, match.index), h("span", { class: match[1] ? "c" : match[2] ? "s" : match[3] ? "k" : "n" }, match[0]));
      end = match.index + match[0].length;
    }
    return [...drawn, code.slice(end)];
  }
  function long(text, lines, extra = "") {
    const element = h("div", { class: `text ${extra}` });
    const all = text.split("\n");
    let head = all.slice(0, lines).join("\n");
    if (head.length > lines * 120) head = head.slice(0, lines * 120);
    if (text.length - head.length < 200) {
      element.append(text);
      return element;
    }
    const button = h("button", { class: "more", type: "button", onclick: () => { element.replaceChildren(text); } }, `Show all (${times(all.length, "line")}, ${count(text.length)} characters)`);
    element.append(`${head}…\n`, button);
    return element;
  }

  /** Set the filters from elsewhere on the page, and go there. */
  function look(filters) {
    set("trajectories", { vs: "", differs: "", q: "", open: "", of: "", by: "", k: "", ...filters });
    control.q.value = "";
    $("#trajectories").scrollIntoView();
    refilter().then(() => box.focus({ preventScroll: true }));
  }

  function drawLeft() {
    const part = benchmarks.map((b, i) => ({ name: b.name, kept: KEPT[i], of: PROBLEMS[i] })).filter(({ kept, of }) => kept < of);
    if (!part.length) return;
    const notice = $("p.left");
    notice.hidden = false;
    notice.textContent = `Not all trajectories are in this file: they are capped at ${+(CAP / 1e6).toPrecision(3)} MB compressed. `
      + (part.every(({ kept }) => !kept) && part.length === PROBLEMS.filter(Boolean).length ? "None is kept. "
        : `Kept are those of the first problems: ${list(part.map(({ name, kept, of }) => `${count(kept)} of ${count(of)} of ${name}`))}. `)
      + "Of the others there are question, answers, score, outcome and tokens; all of it is in the runs' folders.";
  }

  // ---- begin ---------------------------------------------------------------------------------------------------
  function start() {
    const section = readAddress();
    drawHead();
    drawTable();
    drawFigures();
    drawCompare();
    beginTraining();
    drawLeft();
    fillFilters();
    if (section === "trajectories") refilter();
    if (section) document.getElementById(section)?.scrollIntoView();
  }
  start();
  addEventListener("hashchange", () => {
    const section = readAddress();
    if (section === null) return; // a plain link to a section: nothing else changes
    drawTable();
    drawFigures();
    drawCompare();
    refilter();
    document.getElementById(section)?.scrollIntoView();
  });
  new IntersectionObserver((seen) => {
    if (!started && seen.some((entry) => entry.isIntersecting)) refilter();
  }, { rootMargin: "500px" }).observe($("#trajectories"));
  const widths = new WeakMap();
  const resized = new ResizeObserver((changes) => {
    for (const { target } of changes) {
      if (widths.get(target) === target.clientWidth) continue;
      const first = !widths.has(target);
      widths.set(target, target.clientWidth);
      if (!first) requestAnimationFrame({ figure: drawBars, tokens: drawTokens, training: drawTraining }[target.closest("section").id]);
    }
  });
  document.querySelectorAll(".plot").forEach((plot) => resized.observe(plot));
  document.documentElement.dataset.ready = "";
})();
