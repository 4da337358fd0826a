// A notice of the system's when something long is done while nobody looks. Asked for by a button, never by itself.

const notices = (() => {
  const KEY = "wn:notices"; // "on": the person wants them; the browser's own permission comes on top
  const LONG = 20000; // milliseconds; shorter work is watched
  const known = "Notification" in window && window.isSecureContext;
  let since = 0; // when the work that is under way began, as far as this page saw it
  let last = null; // its kind, as it was last seen

  const wanted = () => {
    try { return localStorage.getItem(KEY) === "on"; } catch (error) { return false; }
  };
  function want(yes) {
    try { localStorage.setItem(KEY, yes ? "on" : "off"); } catch (error) { /* only for this visit, then */ }
  }
  const state = () => (!known ? "never" : Notification.permission === "denied" ? "denied" : Notification.permission === "granted" && wanted() ? "on" : "off");

  async function turn(on) {
    if (on && Notification.permission !== "granted") await Notification.requestPermission();
    want(on && Notification.permission === "granted");
    return state();
  }

  async function show(title, body) {
    const options = { body, icon: "/icon/icon-192.png", tag: "what-happens-next" };
    const helper = navigator.serviceWorker && (await navigator.serviceWorker.getRegistration());
    if (helper) return helper.showNotification(title, options); // the only way on a phone
    const notice = new Notification(title, options);
    notice.onclick = () => { window.focus(); notice.close(); };
  }

  const DONE = { draw: "notices.draw", think: "notices.think", describe: "notices.describe" };
  watch((now) => {
    const working = now.job || now.elsewhere;
    if (working) {
      since = since || Date.now();
      last = now.job ? now.job.kind : last;
      return;
    }
    const long = since && (document.hidden || Date.now() - since > LONG);
    const kind = last;
    since = 0;
    last = null;
    if (!long || state() !== "on" || (document.hasFocus() && !document.hidden)) return;
    const text = T(now.trouble ? "notices.trouble" : DONE[kind] || "notices.done");
    show(now.story ? now.story.title : T("page.name"), text).catch(() => {});
  });

  return { state, turn };
})();
