// The cutting room: which scenes, how much of each, joins, cards, words, a voice, and what it becomes. Every change is
// kept at once; the film plays before anything is made.

const film = (() => {
  let now = null; // the server's last answer
  let plan = null; // as it is here
  let player = null;
  let parts = null; // nodes that are filled again
  let waiting = null; // timer of the next keeping
  let keeping = Promise.resolve();
  let looking = null; // timer of the next look at how far it is

  const scenes = () => new Map(now.scenes.map((one) => [one.id, one]));
  const half = (text, n) => (text.length > n ? text.slice(0, n - 1).trimEnd() + "…" : text);

  function choice(label, value, options, does) {
    const field = h("select", { onchange: () => does(field.value) }, options.map(([name, text]) => h("option", { value: name, selected: name === value }, text)));
    return h("label.wn-cut-field", {}, h("span", {}, label), field);
  }
  function line(label, value, most, does) {
    const field = h("input", { type: "text", value, maxlength: most, onchange: () => does(field.value.trim()) });
    return h("label.wn-cut-field", {}, h("span", {}, label), field);
  }
  function seconds(label, value, most, does) {
    const field = h("input", { type: "number", min: 0, max: most.toFixed(2), step: 0.1, value: value.toFixed(2).replace(/\.?0+$/, ""), onchange: () => does(Math.min(most, Math.max(0, Number(field.value) || 0))) });
    return h("label.wn-cut-seconds", {}, h("span", {}, label), field);
  }

  // `again`: what is shown depends on what was changed
  function change(next, again) {
    plan = { ...plan, ...next };
    player.show(plan, scenes());
    if (again) draw(again);
    clearTimeout(waiting);
    waiting = setTimeout(keep, 500);
  }
  function shot(index, next) {
    change({ shots: plan.shots.map((one, at) => (at === index ? { ...one, ...next } : one)) });
  }

  // One keeping after the other, each with the version that the last one made.
  function keep() {
    clearTimeout(waiting);
    waiting = null;
    keeping = keeping.then(async () => {
      if (!now) return;
      const answer = await act("film_keep", { plan, version: now.version });
      if (answer === null) { waiting = setTimeout(keep, 400); return; } // something else is under way
      const failed = answer.notice && answer.notice.kind === "error";
      const fresh = await ask("film");
      if (!fresh || !drawer.shows("film")) return;
      now = fresh;
      if (failed && !waiting) { plan = fresh.plan; draw(); }
      told();
    });
    return keeping;
  }

  // What is read and spoken instead of the scene's own words; nothing at all is an answer, too.
  function otherWords(one, index, scene) {
    const field = h("textarea", { rows: 2, maxlength: 2000, "aria-label": T("film.words_of", { n: scene.number }), onchange: () => shot(index, { words: field.value.trim() === scene.words.trim() ? null : field.value.trim() }) });
    field.value = one.words === null ? scene.words : one.words;
    return field;
  }

  function row(one, index) {
    const scene = scenes().get(one.scene);
    const end = one.end === null ? scene.seconds : Math.min(one.end, scene.seconds);
    const move = (by) => {
      const shots = [...plan.shots];
      const [taken] = shots.splice(index, 1);
      shots.splice(index + by, 0, taken);
      change({ shots }, one.scene + (by < 0 ? ":up" : ":down"));
    };
    const tool = (name, what, key, disabled, does) => h("button.wn-cut-tool", { type: "button", "data-key": one.scene + ":" + key, disabled, title: what, "aria-label": T("film.of_scene", { what, n: scene.number }), onclick: does }, name === "×" ? "×" : icon(name));
    return h("li.wn-cut-shot", {},
      scene.thumb ? h("img", { src: media(scene.thumb), alt: "", loading: "lazy" }) : h("span"),
      h("div.wn-cut-about", {},
        h("p", {}, h("strong", {}, scene.number + "  "), half(scene.words, 90)),
        h("div.wn-row", {},
          seconds(T("film.from"), Math.min(one.start, end), scene.seconds, (value) => shot(index, { start: Math.min(value, end - 0.1) })),
          seconds(T("film.to"), end, scene.seconds, (value) => shot(index, { end: value >= scene.seconds - 0.01 ? null : Math.max(value, plan.shots[index].start + 0.1) })),
          index + 1 < plan.shots.length ? choice(T("film.join"), one.join, ["cut", "dissolve", "fade"].map((name) => [name, T("film.join_" + name)]), (value) => shot(index, { join: value })) : null),
        h("details", { open: one.words !== null }, h("summary", {}, T("film.other_words")), otherWords(one, index, scene))),
      h("div.wn-cut-tools", {},
        tool("up", T("film.earlier"), "up", index === 0, () => move(-1)),
        tool("down", T("film.later"), "down", index + 1 === plan.shots.length, () => move(1)),
        tool("×", T("film.leave_out"), "out", plan.shots.length === 1, () => change({ shots: plan.shots.filter((_, at) => at !== index) }, "out"))));
  }

  function cardFields(which, heading) {
    const card = plan[which];
    const set = (next) => {
      const made = { text: "", under: "", seconds: 2.5, look: "paper", ...(plan[which] || {}), ...next };
      change({ [which]: made.text || made.under ? made : null });
    };
    return h("fieldset.wn-cut-group", {}, h("legend", {}, heading),
      line(T("film.card_text"), card ? card.text : "", 120, (text) => set({ text })),
      line(T("film.card_under"), card ? card.under : "", 120, (under) => set({ under })),
      choice(T("film.card_look"), card ? card.look : "paper", ["paper", "night"].map((name) => [name, T("film.look_" + name)]), (look) => set({ look })));
  }

  function settings() {
    const { captions, narration, output } = plan;
    const some = (prefix, names) => names.map((name) => [name, T(prefix + name)]);
    return [
      h("fieldset.wn-cut-group", {}, h("legend", {}, T("film.words")),
        choice(T("film.captions"), captions.mode, some("film.captions_", ["off", "soft", "burned"]), (mode) => change({ captions: { ...plan.captions, mode } }, "captions")),
        captions.mode === "burned" ? choice(T("film.caption_look"), captions.look, some("film.caption_", ["plain", "box", "story"]), (look) => change({ captions: { ...plan.captions, look } })) : null,
        choice(T("film.voice"), narration.voice, some("film.voice_", now.voices), (voice) => change({ narration: { ...plan.narration, voice } }, "voice")),
        captions.mode === "soft" && /gif|webp/.test(output.kind) ? h("p.wn-small", {}, T("film.no_soft")) : null,
        narration.voice === "server" ? h("p.wn-small", {}, T("film.leaves")) : null,
        now.voices.length === 1 ? h("p.wn-small", {}, T("film.no_voices")) : null),
      h("fieldset.wn-cut-group", {}, h("legend", {}, T("film.becomes")),
        choice(T("film.kind"), output.kind, some("film.kind_", ["mp4", "webm", "gif", "webp"]), (kind) => change({ output: { ...plan.output, kind } }, "kind")),
        choice(T("film.size"), output.size, some("film.size_", ["source", "720p", "1080p"]), (size) => change({ output: { ...plan.output, size } })),
        choice(T("film.shape"), output.shape, [["source", T("film.shape_source")], ...["16:9", "9:16", "1:1", "4:5"].map((name) => [name, name])], (shape) => change({ output: { ...plan.output, shape } }, "shape")),
        output.shape !== "source" ? choice(T("film.fit"), output.fit, some("film.fit_", ["blur", "crop"]), (fit) => change({ output: { ...plan.output, fit } })) : null),
    ];
  }

  // How the film would be made, and how far it is.
  function told() {
    if (!parts) return;
    parts.way.textContent = now.way ? now.way.text : "";
    const report = now.report;
    const running = report && report.what === "running";
    const link = report && report.address ? h("a.wn-first", { href: report.address, download: "" }, icon("save"), h("span", {}, T("film.save_" + report.form) + (report.bytes ? " (" + sizeText(report.bytes) + ")" : ""))) : null;
    const bar = running ? h("div.wn-bar", { role: "progressbar", "aria-label": T("film.making"), "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(100 * (report.share || 0)) }, h("span.wn-bar-fill", { style: "width: " + Math.round(100 * (report.share || 0)) + "%" })) : null;
    const key = JSON.stringify([report && report.what, report && report.address, report && report.text]);
    if (parts.made.dataset.key !== key || running) {
      parts.made.dataset.key = key;
      parts.made.replaceChildren(...[
        report ? h("p", { role: running ? null : "status" }, report.text + (running && report.left ? " " + T("film.left", { n: Math.max(1, Math.round(report.left)) }) : "")) : null,
        bar,
        report && report.way ? h("p.wn-small", {}, report.way) : null,
        h("div.wn-row", {}, link, running ? h("button.wn-second", { type: "button", onclick: async () => { await act("film_stop"); look_(); } }, T("film.stop")) : null),
      ].filter(Boolean));
    }
    for (const button of parts.make.querySelectorAll("button")) button.disabled = !!running;
    clearTimeout(looking);
    if (running) looking = setTimeout(look_, 700);
  }
  async function look_() {
    clearTimeout(looking);
    if (!drawer.shows("film") || !now) return;
    const answer = await ask("film_report", { end: now.end });
    if (!answer || !now) return;
    now.report = answer.report;
    told();
  }

  // The panel is used for something else.
  function share() {
    if (waiting) keep();
    clearTimeout(looking);
    player.pause();
    parts = null;
    sharing.open();
  }

  async function make(form) {
    player.pause();
    if (waiting) await keep();
    await keeping;
    await act("film_make", form ? { form } : {});
    look_();
  }

  // `focus`: the key of what was pressed, which is another node now
  function draw(focus) {
    if (!parts) return;
    const out = now.scenes.filter((one) => !plan.shots.some((each) => each.scene === one.id));
    parts.list.replaceChildren(...plan.shots.map(row));
    parts.out.replaceChildren(...(out.length ? [h("h3", {}, T("film.left_out")), h("div.wn-row", {}, out.map((one) => h("button.wn-second", { type: "button", onclick: () => putBack(one) }, T("film.put_back", { n: one.number }))))] : []));
    parts.settings.replaceChildren(...settings());
    player.show(plan, scenes());
    told();
    const wanted = focus && parts.list.querySelector('[data-key="' + CSS.escape(focus) + '"]');
    if (wanted) (wanted.disabled ? wanted.parentNode.querySelector("button:not([disabled])") : wanted).focus();
    else if (focus === "out") parts.list.querySelector("button:not([disabled])")?.focus();
  }
  function putBack(scene) {
    const shots = [...plan.shots];
    const numbers = scenes();
    const at = shots.findIndex((one) => numbers.get(one.scene).number > scene.number);
    shots.splice(at < 0 ? shots.length : at, 0, { scene: scene.id, start: 0, end: null, join: "cut", words: null });
    change({ shots }, "out");
  }

  async function fill(body) {
    now = await ask("film");
    if (!now || !drawer.shows("film")) return;
    plan = now.plan;
    player = makeCutPlayer();
    const joinAll = choice(T("film.join_all"), "", [["", T("film.as_they_are")], ...["cut", "dissolve", "fade"].map((name) => [name, T("film.join_" + name)])], (join) => { if (join) change({ shots: plan.shots.map((one) => ({ ...one, join })) }, "join"); });
    const beside = ["srt", "vtt", "sheet", "book", "otio"].filter((form) => now.forms.includes(form)).map((form) => h("button.wn-second", { type: "button", onclick: () => make(form) }, T("film.beside_" + form)));
    parts = {
      list: h("ol.wn-cut-list"),
      out: h("div"),
      settings: h("div.wn-cut-settings"),
      way: h("p.wn-small.wn-cut-way"),
      made: h("div.wn-cut-made"),
      make: h("div.wn-row", {}, h("button.wn-first.wn-cut-make", { type: "button", onclick: () => make("") }, T("film.make")),
        h("button.wn-link", { type: "button", onclick: async () => { clearTimeout(waiting); waiting = null; await keeping; await act("film_anew"); now = await ask("film") || now; plan = now.plan; fillCards(); draw(); } }, T("film.anew"))),
      beside: h("details.wn-cut-beside", {}, h("summary", {}, T("film.beside")), h("div.wn-row", {}, beside),
        now.may_share ? h("div.wn-row", {}, h("button.wn-second", { type: "button", onclick: share }, icon("share"), T("share.tool"))) : null),
      cards: h("div.wn-cut-settings"),
    };
    fillCards();
    body.replaceChildren(h("div.wn-cut", {},
      h("div.wn-cut-left", {}, player.node, parts.way, parts.make, parts.made, parts.beside),
      h("div.wn-cut-right", {}, h("div.wn-row", {}, h("h3.wn-grow", {}, T("film.scenes")), joinAll,
        seconds(T("film.join_seconds"), plan.join_seconds, 3, (value) => change({ join_seconds: Math.max(0.1, value) }))), parts.list, parts.out, parts.cards, parts.settings)));
    draw();
    look_();
  }
  function fillCards() {
    parts.cards.replaceChildren(cardFields("title", T("film.title_card")), cardFields("end", T("film.end_card")));
  }

  function open() {
    if (view.story && view.reel) drawer.open("film", T("film.title"), (body) => { fill(body); }, { wide: true });
  }
  drawer.body().closest("dialog").addEventListener("close", () => {
    if (!parts) return;
    if (waiting) keep(); // nothing that was changed is lost
    clearTimeout(looking);
    player.pause();
    parts = null;
  });

  ICONS.film = "M4 6h16v12H4zM8 6v12M16 6v12M4 10h4M4 14h4M16 10h4M16 14h4";
  addTool({ order: 34, key: (next) => next.reel, node: (next) => (next.reel ? h("button.wn-quiet", { type: "button", "aria-label": T("film.tool"), title: T("film.tool"), onclick: open }, icon("film"), h("span", {}, T("film.tool"))) : null) });
  addKey("c", "film.tool", () => open());
  return { open };
})();
