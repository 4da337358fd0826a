// Teaching: clips are brought and corrected, a lesson learns from them, and what came of it is seen beside what was
// before. Everything lasting is in the lesson's folder; the panel only shows it. Only where the person sits at this
// computer; the server refuses it elsewhere.

const teaching = (() => {
  let body = null;
  let now = null; // the last answer
  let chosen = null; // the lesson that is shown; "" is a new one
  let sending = null; // {at, of} while files are brought
  let timer = null;
  let drawn = new Map(); // part -> what it was drawn from
  const AT_REST = ["gathering", "prepared", "stopped", "failed", "done"];

  const button = (key, label, does, kind, more) => h("button." + (kind || "wn-second"), { type: "button", "data-key": key, onclick: does, ...more }, label);
  const lesson = () => (now && chosen ? now.lesson : null);

  async function refresh() {
    clearTimeout(timer);
    if (!drawer.shows("teach")) return;
    const answer = await ask("teach", { lesson: chosen || "" });
    if (answer) take(answer);
  }

  function take(answer) {
    if (!drawer.shows("teach")) return;
    if (chosen && answer.lesson && answer.lesson.key !== chosen) return void refresh(); // another one was chosen meanwhile
    now = answer;
    if (chosen && !now.lesson) chosen = null;
    if (chosen === null) chosen = now.lessons.length ? (now.lessons.find((one) => one.running) || now.lessons[0]).key : "";
    if (chosen && !now.lesson) return void refresh();
    draw();
    clearTimeout(timer);
    if (now.busy) timer = setTimeout(refresh, 1000);
  }

  async function wish(what, details) {
    await act(what, { lesson: chosen, ...details });
    await refresh();
  }

  // Corrections are kept while others are on their way.
  async function correct(what, details) {
    const answer = await ask(what, { lesson: chosen, ...details });
    if (answer) take(answer);
    else refresh();
  }

  const titled = () => {
    const field = body.querySelector(".wn-teach-title");
    return field ? field.value.trim() : "";
  };

  // Bringing clips ------------------------------------------------------------------------------------------------

  async function inside(entry) {
    if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!some.length) return found;
      for (const one of some) found.push(...(await inside(one)));
    }
  }

  async function dropped(transfer) {
    const entries = [...(transfer.items || [])].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
    if (!entries.length) return bring([...transfer.files]);
    const files = [];
    for (const entry of entries) files.push(...(await inside(entry)));
    return bring(files);
  }

  async function bring(list) {
    const files = list.filter((one) => one.size && !one.name.startsWith("."));
    if (!files.length || sending || (lesson() && !AT_REST.includes(lesson().state))) return;
    const limit = (view && view.limits && view.limits.upload) || 200 * 1024 * 1024;
    const large = files.filter((one) => one.size > limit);
    const title = titled();
    sending = { at: 0, of: files.length - large.length };
    if (large.length) tell({ kind: "error", text: T("teach.too_large", { name: large[0].name, mb: Math.round(limit / 1048576) }) });
    for (const one of files) {
      if (large.includes(one)) continue;
      sending.at += 1;
      draw();
      try {
        const kept = await upload(one);
        const answer = await ask("teach_bring", { lesson: chosen || "", title, path: kept.path, name: one.name });
        if (!answer) break;
        if (chosen !== answer.lesson) {
          chosen = answer.lesson;
          await refresh();
        }
      } catch (error) {
        tell({ kind: "error", text: T(/429/.test(String(error && error.message)) ? "begin.too_many" : "begin.not_brought") });
        break;
      }
    }
    sending = null;
    await refresh();
    const next = body.querySelector("[data-key=look]");
    if (next) next.focus();
  }

  function dropArea() {
    const file = h("input", { type: "file", multiple: true, accept: "image/*,video/*,.heic,.heif,.avif,.mkv,.txt", class: "wn-unseen", tabindex: "-1", "aria-label": T("teach.choose"), onchange: () => bring([...file.files]) });
    return h("div.wn-drop.wn-teach-drop", {}, h("span.wn-drop-icon", {}, icon("picture")),
      h("p.wn-drop-text", { role: "status" }, sending ? T("teach.bringing", sending) : T("teach.drop")),
      h("div.wn-drop-buttons", {}, button("choose", T("teach.choose"), () => file.click(), null, { disabled: Boolean(sending) })),
      h("p.wn-small", {}, T("teach.drop_hint")), file);
  }

  function folderField() {
    const field = h("input", { type: "text", id: "wn-teach-folder", "data-key": "folder", spellcheck: "false", placeholder: T("teach.folder_like") });
    const name = async () => {
      const title = titled();
      const before = now.lessons.map((one) => one.key);
      await act("teach_folder", { folder: field.value.trim(), title });
      const answer = await ask("teach", { lesson: "" });
      const fresh = answer && answer.lessons.find((one) => !before.includes(one.key));
      if (fresh) chosen = fresh.key;
      refresh();
    };
    field.addEventListener("keydown", (event) => { if (event.key === "Enter") name(); });
    return h("details.wn-more", {}, h("summary", {}, T("teach.or_folder")),
      h("div.wn-teach-folder", {}, h("label.wn-small", { for: "wn-teach-folder" }, T("teach.folder")), h("div.wn-row", {}, field, button("name-folder", T("teach.look"), name))));
  }

  // Parts of the panel ------------------------------------------------------------------------------------------------

  function which() {
    const items = now.lessons.map((one) => h("button.wn-teach-tab", { type: "button", "data-key": "lesson:" + one.key, "aria-current": one.key === chosen ? "true" : null, onclick: () => { chosen = one.key; refresh(); } }, given(one.name), h("span.wn-small", {}, one.text)));
    return [h("div.wn-teach-tabs", {}, items, h("button.wn-teach-tab", { type: "button", "data-key": "lesson:", "aria-current": chosen ? null : "true", onclick: () => { chosen = ""; refresh(); } }, T("teach.new")))];
  }

  function fresh() {
    return [h("p", {}, T("teach.lead")), h("p.wn-small", {}, T("teach.private")),
      h("label.wn-cut-field", {}, h("span", {}, T("teach.title_of")), h("input.wn-teach-title", { type: "text", maxlength: 60, "data-key": "title", placeholder: T("teach.title_like") })),
      dropArea(), folderField()];
  }

  function head(one) {
    const bar = one.running ? h("div.wn-bar" + (one.share === null ? ".wn-waiting" : ""), { role: "progressbar", "aria-label": one.text, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": one.share === null ? null : Math.round(100 * one.share) }, h("span.wn-bar-fill", { style: "width: " + Math.round(100 * (one.share || 0)) + "%" })) : null;
    const learns = one.learning && one.doing === "learn" && one.state === "learning";
    const said = one.ending ? T("teach.ending") : [one.text, one.stage].filter(Boolean).join(" · ");
    return [h("div.wn-teach-head", {}, h("h3", {}, given(one.name)), h("p", { role: "status" }, said)),
      learns ? null : bar,
      one.why ? h("div.wn-trouble", { role: "alert" }, h("p", {}, one.why)) : null,
      firstly(one)].filter(Boolean);
  }

  // What comes next, where there is something.
  function firstly(one) {
    const can = [];
    if (one.running) {
      if (one.doing === "stop") return null;
      return h("div.wn-row", {}, button("pause", T(one.doing === "learn" ? "teach.pause" : "teach.cancel"), () => wish("teach_pause"), null, { disabled: one.ending }));
    }
    const busy_ = now.busy || Boolean(sending); // with another lesson, or with what is on its way here
    if (one.files.length || one.folder) {
      if (one.state === "gathering" || (one.state === "failed" && !one.clips.length)) can.push(button("look", T("teach.look"), () => wish("teach_look"), "wn-first", { disabled: busy_ }));
    }
    if (one.clips.length && !one.plan.length && one.state === "prepared") can.push(button("plan", T("teach.plan_make"), () => wish("teach_plan"), "wn-first", { disabled: busy_ }));
    else if (one.clips.length && ["prepared", "stopped", "failed"].includes(one.state)) can.push(button("learn", T(one.learning ? "teach.go_on" : "teach.start"), learn, "wn-first", { disabled: busy_ }));
    if (one.state === "paused") can.push(button("learn", T("teach.go_on"), learn, "wn-first", { disabled: busy_ }));
    return can.length ? h("div.wn-row", {}, can) : null;
  }

  // What cannot be taken back stands at the end.
  function lastly(one) {
    if (one.running) return [];
    const learnt = ["paused", "done"].includes(one.state) || (one.state === "failed" && one.learning);
    return [h("div.wn-row", {}, learnt ? button("stop", T("teach.stop"), stop, "wn-link") : null, button("forget", T("teach.forget"), forget, "wn-link"))];
  }

  const learn = () => {
    const field = body.querySelector(".wn-teach-minutes");
    return wish("teach_learn", field ? { minutes: Math.max(0, Math.round(Number(field.value) || 0)) } : {});
  };
  async function stop() {
    if (await sure(T("teach.stop_sure"), T("teach.stop_text", { name: lesson().name }), T("teach.stop"))) await wish("teach_stop");
    adapters.refresh();
  }
  async function forget() {
    const one = lesson();
    const text = T(one.folder ? "teach.forget_folder" : "teach.forget_text", { name: one.name, size: one.size });
    if (!(await sure(T("teach.forget_sure"), text, T("teach.forget")))) return;
    await act("teach_forget", { lesson: one.key });
    chosen = null;
    await refresh();
    adapters.refresh();
  }

  function brought(one) {
    if (!AT_REST.includes(one.state) || one.folder || one.state === "done") return [];
    const files = h("ul.wn-teach-files", {}, one.files.map((file) => h("li", {}, given(file.name), h("span.wn-small", {}, file.size),
      h("button.wn-x", { type: "button", "data-key": "leave:" + file.name, "aria-label": T("teach.remove_of", { name: file.name }), onclick: () => correct("teach_leave", { name: file.name }) }, "×"))));
    const list = one.state === "gathering" || !one.clips.length ? files : h("details.wn-more", {}, h("summary", {}, T("teach.files", { n: one.files.length })), files);
    const again = one.clips.length ? h("div.wn-row", {}, button("look", T("teach.look_again"), () => wish("teach_look"), null, { disabled: now.busy }), h("span.wn-small", {}, T("teach.look_again_hint"))) : null;
    return [dropArea(), one.files.length ? list : null, again].filter(Boolean);
  }

  function who(one) {
    const open = AT_REST.includes(one.state) && one.state !== "done";
    if ((!open && !one.names.length) || !one.clips.length) return [];
    return [h("h3", {}, T("teach.names")), open ? h("p.wn-small", {}, T("teach.names_hint")) : "",
      clipList.names(one.names, (names) => correct("teach_names", { names }), open)];
  }

  function clips(one) {
    if (!one.clips.length) return [];
    const list = h("ul.wn-clips", {}, one.clips.map((clip) => clipList.row(clip, (details) => correct("teach_clip", details), AT_REST.includes(one.state) && one.state !== "done")));
    const more = one.more ? h("p.wn-small", {}, T("teach.more", { n: one.more })) : null;
    const settled = one.learning || one.state === "done"; // the course of learning is looked at then
    if (settled) return [h("details.wn-more", {}, h("summary", {}, T("teach.clips_title") + " (" + one.counts + ")"), list, more)];
    return [h("h3", {}, T("teach.clips_title")), h("p.wn-small", {}, one.counts + " · " + T("teach.clips_hint")), list, more].filter(Boolean);
  }

  function plan(one) {
    const asks = ["prepared", "stopped", "failed"].includes(one.state) && one.clips.length;
    if (one.state === "done" || !one.plan.length) return [];
    return [h("h3", {}, T("teach.plan")), h("ul.wn-teach-plan", {}, one.plan.map((text) => h("li", {}, text))),
      one.plan_is_old && asks ? h("div.wn-row", {}, h("span.wn-small", {}, T("teach.plan_old")), button("plan", T("teach.plan_again"), () => wish("teach_plan"), null, { disabled: now.busy })) : null,
      asks ? h("label.wn-row.wn-small", {}, T("teach.at_most"), h("input.wn-teach-minutes", { type: "number", min: 0, max: 10080, step: 1, value: one.minutes || "", "data-key": "minutes" }), T("teach.minutes")) : null,
      asks ? h("p.wn-small", {}, T("teach.scenes_first")) : null].filter(Boolean);
  }

  function course(one) {
    const learning = one.learning;
    if (!learning) return [];
    const lines = [{ name: T("teach.loss"), points: learning.loss, kind: "loss" }, ...(learning.held_out.length ? [{ name: T("teach.loss_held_out"), points: learning.held_out, kind: "held-out" }] : [])];
    const wide = Math.max(260, Math.min(1120, body.clientWidth - 4));
    const share = Math.round((100 * learning.step) / Math.max(1, learning.steps));
    return [h("h3", {}, T("teach.chart")),
      h("div.wn-bar", { role: "progressbar", "aria-label": learning.text, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": share }, h("span.wn-bar-fill", { style: "width: " + share + "%" })),
      h("p.wn-small.wn-teach-left", {}, [learning.text, learning.left].filter(Boolean).join(" · ")),
      chart.legend(lines), chart.draw(lines, learning.steps, wide), h("p.wn-small", {}, T("teach.chart_means"))];
  }

  function previews(one) {
    if (!one.previews.length) return [];
    const cell = (label, address) => h("figure", {}, clipList.moving(address, label), h("figcaption.wn-small", {}, label));
    return [h("h3", {}, T(one.state === "done" ? "teach.result" : "teach.previews")), h("p.wn-small", {}, T("teach.previews_hint")),
      ...one.previews.map((row) => h("div.wn-teach-row", {}, row.caption ? h("p", {}, row.caption) : null,
        h("div.wn-teach-cells", {}, row.true ? cell(T("teach.yours"), row.true) : null, row.drawn.map((shot) => cell(shot.label, shot.clip)))))];
  }

  function result(one) {
    if (!one.adapter) return [];
    return [one.told ? h("p", {}, one.told) : null, h("div.wn-row", {},
      one.in_use ? h("p", {}, T("teach.in_use")) : button("use-it", T("teach.use_it"), async () => { await adapters.use(one.adapter, 1); refresh(); }, "wn-first"),
      one.report ? h("a.wn-second", { href: one.report, download: "" }, icon("save"), h("span", {}, T("teach.report"))) : null)].filter(Boolean);
  }

  const PARTS = [["which", which, () => [now.lessons, chosen]], ["fresh", fresh, () => [sending], () => !chosen],
    ["head", head, (one) => [one.name, one.state, one.text, one.stage, one.share, one.running, one.ending, one.why, one.files.length, one.clips.length, one.plan.length, Boolean(one.learning), now.busy, Boolean(sending)]],
    ["result", result, (one) => [one.adapter, one.in_use, one.report, one.told]],
    ["course", course, (one) => [one.learning, body.clientWidth]], ["previews", previews, (one) => [one.previews, one.state]],
    ["plan", plan, (one) => [one.plan, one.plan_is_old, one.state, one.clips.length > 0, now.busy]],
    ["who", who, (one) => [one.names, one.state, one.clips.length > 0]], ["clips", clips, (one) => [one.clips, one.state, Boolean(one.learning)]],
    ["bring", brought, (one) => [one.state, one.files, one.clips.length > 0, sending, now.busy]],
    ["last", lastly, (one) => [one.state, one.running, one.size, Boolean(one.learning)]]];

  // Only what changed is drawn anew, so that nobody's typing or playing is taken away.
  function draw() {
    for (const [name, make, from, when] of PARTS) {
      const there = when ? when() : name === "which" ? now.lessons.length > 0 : Boolean(lesson());
      const key = JSON.stringify(there ? [chosen, from(lesson())] : null);
      if (drawn.get(name) === key) continue;
      drawn.set(name, key);
      const node = body.querySelector('[data-part="' + name + '"]');
      const held = node.contains(document.activeElement) ? document.activeElement : null;
      const opened = [...node.querySelectorAll("details")].some((one) => one.open);
      const typed = held && isText(held) ? { value: held.value, at: held.selectionStart } : null;
      node.replaceChildren(...(there ? make(lesson()) : []));
      node.hidden = !node.children.length;
      if (opened) for (const one of node.querySelectorAll("details")) one.open = true;
      const again = held && [...node.querySelectorAll("[data-key]")].find((one) => one.dataset.key === held.dataset.key);
      if (again) {
        if (typed && isText(again)) again.value = typed.value;
        again.focus({ preventScroll: true });
        if (typed && typed.at !== null && again.setSelectionRange) try { again.setSelectionRange(typed.at, typed.at); } catch (error) { /* numbers have no place */ }
      }
    }
  }

  async function open() {
    const answer = await ask("teach", { lesson: chosen || "" });
    if (!answer) return;
    drawn = new Map();
    drawer.open("teach", T("teach.title"), (into) => {
      body = h("div.wn-teach", {}, PARTS.map(([name]) => h("section", { "data-part": name, hidden: true })), adapters.node);
      into.append(body);
    }, { wide: true });
    take(answer);
    adapters.refresh();
  }

  const panel = drawer.body().closest("dialog");
  panel.addEventListener("close", () => { clearTimeout(timer); });
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    panel.addEventListener(name, (event) => {
      if (!drawer.shows("teach")) return;
      event.preventDefault();
      event.stopPropagation(); // the page behind would begin a story with it
      const area = body.querySelector(".wn-teach-drop");
      if (area) area.classList.toggle("wn-over", name === "dragenter" || name === "dragover");
      if (name === "drop" && area) dropped(event.dataTransfer);
    });
  }
  panel.addEventListener("paste", (event) => {
    if (!drawer.shows("teach") || !event.clipboardData || !event.clipboardData.files.length) return;
    event.stopPropagation();
    bring([...event.clipboardData.files]);
  });
  window.addEventListener("resize", () => { if (drawer.shows("teach") && now) draw(); });

  ICONS.teach = "M2.500 9.500 12 5l9.500 4.500L12 14zM6.500 11.700v4.300c3 2.700 8 2.700 11 0v-4.300M21.500 9.500v5";
  addTool({ order: 75, key: (one) => one.may_teach, node: (one) => one.page === "home" && one.may_teach ? h("button.wn-quiet", { type: "button", onclick: open }, icon("teach"), h("span", {}, T("teach.open"))) : null });
  return { open };
})();
