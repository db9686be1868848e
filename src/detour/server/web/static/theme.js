// Runs before the first paint, so that a page which a person wants dark never flashes.
try {
  const wanted = localStorage.getItem("detour.theme");
  if (wanted) document.documentElement.dataset.theme = wanted;
} catch {
  // No storage: the colours are the system's.
}
