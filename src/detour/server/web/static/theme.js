// Runs before the first paint, so that a page in dark mode never flashes.
try {
  const wanted = localStorage.getItem("detour.theme");
  if (wanted) document.documentElement.dataset.theme = wanted;
} catch {
  // Without storage, use the system's colours.
}
