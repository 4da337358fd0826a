// Your files: where they are, what they take up, takes that can go, backups and the way back to one.

ICONS.folder = "M3.500 7A1.500 1.500 0 0 1 5 5.500h4.500l2 2.500H19A1.500 1.500 0 0 1 20.500 9.500v8A1.500 1.500 0 0 1 19 19H5a1.500 1.500 0 0 1-1.500-1.500z";

// True when the text is in the clipboard; a page that is not served safely has none.
async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch (error) {
    const field = h("textarea", { value: text, style: "position:fixed;opacity:0", "aria-hidden": "true" });
    (document.querySelector("dialog[open]") || root).append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

function sizeText(bytes) {
  if (bytes < 1e6) return Math.round(bytes / 1000) + " KB";
  return bytes < 1e9 ? (bytes / 1e6).toFixed(1) + " MB" : (bytes / 1e9).toFixed(1) + " GB";
}

const library = (() => {
  let timer = null;
  let seen = null; // the work whose end was told

  const date = (stamp) => new Date(stamp).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const fact = (name, ...value) => h("div.wn-fact", {}, h("dt", {}, name), h("dd", {}, ...value));
  const section = (title, ...parts) => h("section.wn-files-part", {}, h("h3", {}, title), ...parts);

  async function clear(story) {
    const goes = await ask("clearing", { story: story || null, scene: null });
    if (!goes) return null;
    if (!goes.takes) return tell({ kind: "info", text: T("library.nothing_to_clear") });
    const text = T("library.clear_sure_text", { n: goes.takes, size: goes.size });
    if (!(await sure(T("library.clear_sure"), text, T("library.clear", { n: goes.takes })))) return null;
    return act("clear_takes", { which: story || null });
  }

  async function erase(now) {
    const values = { n: now.trashed.takes, size: now.trashed.size };
    if (!(await sure(T("library.erase_sure"), T("library.erase_sure_text", values), T("library.erase", values)))) return null;
    return act("erase_cleared", {});
  }

  function places(now) {
    if (!now.folder) return null;
    const says = h("span.wn-small", { role: "status" });
    return section(T("library.where"), h("p", {}, h("code.wn-path", {}, now.folder)),
      h("div.wn-row", {},
        h("button.wn-second", { type: "button", onclick: async () => { says.textContent = T((await toClipboard(now.folder)) ? "library.copied" : "library.not_copied"); } }, T("library.copy")),
        now.can_open ? h("button.wn-second", { type: "button", onclick: async () => { const answer = await act("open_folder", {}); says.textContent = answer && answer.notice ? answer.notice.text : ""; } }, icon("folder"), T("library.open_folder")) : null, says),
      h("p.wn-small", {}, T("library.where_note")));
  }

  function disk(now) {
    const most = Math.max(1, ...now.stories.map((one) => one.bytes));
    return section(T("library.disk"), h("dl", {},
      fact(T("library.media"), sizeText(now.media)),
      now.own ? fact(T("library.words"), sizeText(now.database)) : null,
      now.own ? fact(T("library.backups_size"), sizeText(now.backups)) : null,
      now.own ? fact(T("library.in_all"), h("strong", {}, sizeText(now.total))) : null),
    now.stories.length ? h("details.wn-more", {}, h("summary", {}, T("library.by_story")),
      h("ul.wn-sizes", {}, now.stories.map((one) => h("li", {},
        h("span.wn-size-title", {}, one.title, one.gone ? h("span.wn-small", {}, " · " + T("library.thrown_away")) : null), h("span.wn-size", {}, sizeText(one.bytes)),
        h("span.wn-size-bar", { "aria-hidden": "true" }, h("i", { style: "width:" + Math.round((100 * one.bytes) / most) + "%" }))))),
      now.more ? h("p.wn-small", {}, T("library.by_story_more", { n: now.more })) : null,
      h("p.wn-small", {}, T("library.by_story_note"))) : null);
  }

  function room_(now, again) {
    const { idle, trashed } = now;
    return section(T("library.clear_title"),
      idle.takes
        ? h("div.wn-row", {}, h("span.wn-grow", {}, T("library.clear_what", { n: idle.takes, size: idle.size })),
          h("button.wn-second", { type: "button", onclick: async () => { await clear(null); again(); } }, T("library.clear", { n: idle.takes })))
        : h("p", {}, T("library.clear_none")),
      trashed.takes ? h("div.wn-row", {}, h("span.wn-grow", {}, T("library.trash_what", { n: trashed.takes, size: trashed.size })),
        h("button.wn-link.wn-erase", { type: "button", onclick: async () => { await erase(now); again(); } }, T("library.erase", { n: trashed.takes }))) : null,
      h("p.wn-small", {}, T("library.clear_note")));
  }

  async function bring(list, again) {
    const one = list && list[0];
    if (!one) return;
    const limit = (view && view.limits && view.limits.upload) || 200 * 1024 * 1024;
    if (one.size > limit) return tell({ kind: "error", text: T("library.too_large", { n: Math.round(limit / 1048576) }) });
    if (!(await sure(T("library.restore_sure"), T("library.restore_sure_text"), T("library.restore_yes")))) return;
    try {
      const kept = await upload(one);
      await act("restore_backup", { path: kept.path, name: one.name });
    } catch (error) {
      tell({ kind: "error", text: T("begin.not_brought") });
    }
    again();
  }

  function working(work) {
    const share = work.share === null ? null : Math.round(100 * work.share);
    return h("div.wn-working", {}, h("div.wn-row", {}, h("span.wn-grow", { role: "status" }, work.phase + (share === null ? " …" : " · " + share + " %")),
      h("button.wn-second", { type: "button", onclick: () => act("stop_backup", {}) }, T("library.stop"))),
    h("div.wn-bar" + (share === null ? ".wn-waiting" : ""), { role: "progressbar", "aria-label": work.phase, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": share },
      h("span.wn-bar-fill", { style: "width:" + (share || 0) + "%" })));
  }

  function backup(one, again) {
    const day = date(one.made);
    const notes = [one.aside ? T("library.backup_aside") : null, one.missing ? T("library.backup_missing", { n: one.missing }) : null].filter(Boolean);
    const restore = async () => {
      if (!(await sure(T("library.restore_sure"), T("library.restore_sure_text"), T("library.restore_yes")))) return;
      await act("restore_backup", { name: one.name });
      again();
    };
    const remove = async () => {
      if (!(await sure(T("library.erase_backup_sure"), T("library.erase_backup_text", { name: one.name }), T("wander.erase")))) return;
      await act("erase_backup", { name: one.name });
      again();
    };
    return h("li.wn-backup", {}, h("span", {}, T("library.backup_of", { n: one.stories, date: day, size: sizeText(one.bytes) })), notes.length ? h("span.wn-small", {}, notes.join(" · ")) : null,
      h("div.wn-row", {},
        h("a.wn-link", { href: "/backup/" + encodeURIComponent(one.name), download: "", "aria-label": T("library.download_of", { date: day }) }, T("library.download")),
        h("button.wn-link", { type: "button", "aria-label": T("library.restore_of", { date: day }), onclick: restore }, T("library.restore")),
        h("button.wn-link.wn-erase", { type: "button", "aria-label": T("library.erase_of", { date: day }), onclick: remove }, T("wander.erase"))));
  }

  // The part that changes by itself while something is under way.
  async function backups(box, again) {
    clearTimeout(timer);
    if (!box.isConnected) return;
    const now = await ask("backups");
    if (!now || !box.isConnected) return;
    const { work } = now;
    const busy_ = work && !work.over;
    if (seen === null) seen = work && work.over ? work.number : -1;
    if (work && work.over && work.number !== seen) {
      seen = work.number;
      tell({ kind: work.failed ? "error" : "info", text: work.text });
      if (work.kind === "restore" && !work.failed) look({});
      return again();
    }
    const file = h("input", { type: "file", accept: ".zip,application/zip", class: "wn-unseen", tabindex: "-1", "aria-label": T("library.restore_file"), onchange: () => bring(file.files, again) });
    box.replaceChildren(
      h("p.wn-small", {}, T("library.backups_note")),
      work && work.over ? h("p.wn-backup-said", { "data-failed": work.failed ? "yes" : null, role: "status" }, work.text) : "",
      busy_ ? working(work) : h("div.wn-row", {},
        h("button.wn-second", { type: "button", onclick: async () => { await act("make_backup", {}); backups(box, again); } }, icon("save"), T("library.backup")),
        h("button.wn-quiet", { type: "button", onclick: () => file.click() }, T("library.restore_file")), file),
      now.backups.length ? h("ul.wn-backups", {}, now.backups.map((one) => backup(one, again))) : h("p.wn-small", {}, T("library.backups_none")),
      h("p.wn-small", {}, T("library.folder_of_backups", { folder: now.folder })));
    if (busy_) timer = setTimeout(() => backups(box, again), 500);
  }

  async function fill(body) {
    const now = await ask("files");
    if (!now || !drawer.shows("files")) return;
    const again = () => fill(body);
    const box = h("div.wn-files-part", {});
    body.replaceChildren(...[places(now), disk(now), room_(now, again), now.own ? section(T("library.backups"), box) : null].filter(Boolean));
    if (now.own) backups(box, again);
  }

  function open() {
    seen = null;
    drawer.open("files", T("library.title"), (body) => { fill(body); });
  }

  addTool({ order: 70, node: (now) => (now.page === "home" ? h("button.wn-quiet", { type: "button", "aria-label": T("library.tool"), onclick: open }, icon("folder"), h("span", {}, T("library.tool"))) : null) });
  return { open, clear };
})();
