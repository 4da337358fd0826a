// What ties the page to the computer that it is shown on: its window, its place among the installed apps.

(() => {
  // A window of the program's own (launch.py --window) says when it comes and goes: the last one ends the program.
  if (document.documentElement.dataset.window === "own") {
    const me = Math.random().toString(36).slice(2);
    const tellWindow = (state) => navigator.sendBeacon("/window/" + me + "/" + state);
    tellWindow("here");
    window.addEventListener("pageshow", (event) => { if (event.persisted) tellWindow("here"); });
    window.addEventListener("pagehide", () => tellWindow("gone"));
  }
  // Keeps one page that says that the program is not running, and shows notices; see app/pages/installed.py.
  if ("serviceWorker" in navigator && window.isSecureContext && window.top === window) {
    navigator.serviceWorker.register("/service-worker.js").catch(() => {});
  }
})();
