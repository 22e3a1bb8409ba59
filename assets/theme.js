// Before the first paint: a theme that was chosen by hand, else what the system prefers.
try {
  const { theme } = JSON.parse(localStorage.getItem('hecate.preferences') ?? '{}')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {}
