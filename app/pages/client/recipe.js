// What belongs to one take: its recipe in the drawer, copied and drawn again; and what of it can be saved.

const recipes = (() => {
  const fact = (name, ...value) => h("div.wn-fact", {}, h("dt", {}, name), h("dd", {}, ...value));
  const round = (number) => String(Math.round(number * 100) / 100);
  let open_ = null; // the take whose recipe is shown
  let at = ""; // what the last view said of open jobs: when that changes, the drawer asks again

  async function open(take) {
    const now = await ask("recipe", { take: take.id });
    if (!now) return;
    open_ = take.id;
    drawer.open("recipe", T("recipe.title", { number: now.number }), (body) => fill(body, now), { after: (next, body) => follow(next, body) });
  }

  // While it is drawn again the page looks from time to time, and so does the panel; when nothing is open, it rests.
  let asking = false;
  async function follow(next, body) {
    const state = JSON.stringify([next.elsewhere, next.job && next.job.id]);
    const waits = body.querySelector(".wn-redraw[data-open]");
    if (asking || (!waits && state === at)) return;
    at = state;
    asking = true;
    const now = await ask("recipe", { take: open_ });
    asking = false;
    if (now && drawer.shows("recipe") && now.take === open_) draw(body.querySelector(".wn-redraw"), now);
  }

  function fill(body, now) {
    const recipe = now.recipe;
    const settings = recipe.settings;
    const text = h("pre.wn-recipe-text", { tabindex: "0", "aria-label": T("recipe.json") }, now.text);
    const more = h("details.wn-more", {}, h("summary", {}, T("recipe.json")), text);
    const note = h("p.wn-small", { role: "status" });
    const replay = h("section.wn-redraw", { "aria-live": "polite" });
    draw(replay, now);
    body.replaceChildren(
      h("p.wn-small", {}, T("recipe.lead")),
      h("p.wn-recipe-words", {}, recipe.words),
      replay,
      h("dl", {},
        recipe.steer ? fact(T("recipe.wish"), recipe.steer) : null,
        recipe.bible ? fact(T("recipe.bible"), h("span.wn-lines", {}, recipe.bible)) : null,
        fact(T("recipe.mode"), T("recipe.mode_" + recipe.mode)),
        fact(T("recipe.after"), now.parents.length ? h("ol.wn-parents", {}, now.parents.map(parent)) : T("recipe.after_none")),
        now.anchor ? fact(T("recipe.anchor"), now.anchor) : null,
        fact(T("recipe.seed"), h("code", {}, String(recipe.seed))),
        fact(T("recipe.settings"), ["steps", "guidance", "shift"].filter((name) => settings[name] !== null).map((name) => T("recipe." + name, { n: round(settings[name]) })).concat(settings.faster ? [T("recipe.faster", { name: settings.faster })] : []).join(", ")),
        fact(T("recipe.drawn"), h("time", { datetime: now.drawn }, new Date(now.drawn).toLocaleString(document.documentElement.lang)), now.seconds ? " " + T("recipe.took", { n: round(now.seconds) }) : ""),
        fact(T("recipe.model"), given(recipe.model.split(/[\\/]/).pop())),
        fact(T("recipe.fingerprint"), h("code", {}, recipe.fingerprint)),
        recipe.adapter ? fact(T("recipe.adapter"), recipe.adapter_strength === null ? given(recipe.adapter) : T("recipe.adapter_line", { name: recipe.adapter, strength: round(recipe.adapter_strength) })) : null,
        fact(T("recipe.device"), given(recipe.device), ", " + T("recipe.threads") + ": " + recipe.threads + ", " + T("recipe.dtype") + ": ", given(recipe.dtype)),
        fact(T("recipe.versions"), given(Object.entries(recipe.versions).map(([name, version]) => name + " " + version).join(", "))),
        fact(T("recipe.frames"), h("code", {}, recipe.frames_sha256))),
      h("div.wn-row", {}, h("button.wn-second", { type: "button", onclick: () => copy(now.text, more, text, note) }, icon("copy"), T("recipe.copy"))),
      note, more);
  }

  function parent(one) {
    const where = one.scene ? T("play.scene", { n: one.scene, words: one.words }) : one.words;
    const which = one.seen ? (one.take ? T("takes.number", { number: one.take }) : null) : T("recipe.after_unseen");
    return h("li", {}, where, which ? h("span.wn-small", {}, " · " + which) : null);
  }

  // What came of drawing it again: the same, what differs, or that nobody knows why.
  function draw(node, now) {
    const last = now.replay;
    const key = JSON.stringify(last);
    if (node.dataset.key === key) return;
    const had = node.contains(document.activeElement);
    node.dataset.key = key;
    node.toggleAttribute("data-open", !!(last && last.open));
    node.dataset.verdict = (last && !last.open && last.verdict) || "";
    const again = h("button.wn-second", { type: "button", onclick: () => start(now) }, icon("again"), T("recipe.replay"));
    if (last && last.open) {
      const share = Math.round(100 * Math.max(0.02, last.share));
      node.replaceChildren(h("p", {}, T("recipe.replaying")),
        h("div.wn-bar", { "aria-hidden": "true" }, h("span.wn-bar-fill", { style: "width: " + share + "%" })),
        h("div.wn-row", {}, h("p.wn-small.wn-grow", {}, last.text), h("button.wn-quiet", { type: "button", onclick: () => act("cancel", { job: last.job }) }, T("recipe.stop"))));
    } else {
      node.replaceChildren(...(last ? verdict(last) : []), again);
    }
    if (had) (node.querySelector("button") || node).focus();
  }

  function verdict(last) {
    if (last.status === "cancelled") return [h("p", {}, T("recipe.stopped"))];
    if (last.status !== "done") return [h("p.wn-verdict", {}, T("recipe.failed")), h("p.wn-small", {}, last.text)];
    const differ = last.differences || [];
    const heads = { equal: differ.length ? "recipe.equal_though" : "recipe.equal", differs: "recipe.differs", unexplained: "recipe.unexplained", missing: "recipe.missing" };
    return [
      h("p.wn-verdict", {}, T(heads[last.verdict])),
      last.verdict === "equal" && !differ.length ? h("p.wn-small", {}, T("recipe.equal_more")) : null,
      ...(last.notes || []).map((note) => h("p", {}, note + " ", T("recipe.missing_more"))),
      differ.length ? h("ul.wn-differences", {}, differ.map((one) => h("li", {}, h("strong", {}, named(one.what)), h("span", {}, T("recipe.then", { value: one.then || T("recipe.nothing") })), h("span", {}, T("recipe.now", { value: one.now || T("recipe.nothing") }))))) : null,
      last.at ? h("p.wn-small", {}, new Date(last.at).toLocaleString()) : null,
    ].filter(Boolean);
  }
  const named = (what) => (CATALOGUE["recipe.fact_" + what] ? T("recipe.fact_" + what) : what);

  async function start(now) {
    at = "";
    await act("replay", { take: now.take });
    if (view) follow(view, drawer.body());
  }

  // The clipboard may be closed to the page (no permission, no https): then the text is marked, ready for Ctrl + C.
  async function copy(text, more, node, note) {
    try {
      await navigator.clipboard.writeText(text);
      note.textContent = T("recipe.copied");
    } catch (error) {
      more.open = true;
      const range = document.createRange();
      range.selectNodeContents(node);
      const selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      node.focus({ preventScroll: true });
      const done = document.execCommand && document.execCommand("copy");
      note.textContent = T(done ? "recipe.copied" : "recipe.copy_by_hand");
    }
    note.scrollIntoView({ block: "nearest" });
  }

  addTakeTool({ order: 10, node: (take) => take.kind === "drawn" ? h("button.wn-quiet", { type: "button", "data-tool": "recipe", title: T("recipe.open_title"), onclick: () => open(take) }, icon("recipe"), h("span", {}, T("recipe.open"))) : null });

  // Saving -----------------------------------------------------------------------------------------------------------

  function saver(take) {
    const link = (part) => h("a.wn-save-part", { href: "/scene/" + encodeURIComponent(take.id) + "/" + part, download: "" }, h("strong", {}, T("play.save_" + part)), h("span.wn-small", {}, T("play.save_" + part + "_more")));
    return popover(h("summary.wn-quiet", { title: T("play.save_title"), "data-tool": "save" }, icon("save"), h("span", {}, T("play.save"))), h("div.wn-save-parts", {}, ["clip", "picture", "words"].map(link)));
  }
  addTakeTool({ order: 20, node: saver });

  return { open };
})();
