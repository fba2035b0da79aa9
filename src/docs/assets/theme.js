// Runs in the head, before anything is painted, so that a chosen scheme never flashes.
(() => {
  "use strict";
  try {
    const theme = localStorage.getItem("kiln-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden: then the system decides.
  }
  document.documentElement.classList.add("js");
})();
