/** Where the pages are; what begins with a colon is any one segment. The server answers these with the page, and no other path. */
export const PATHS = {
  home: '/',
  findings: '/findings',
  finding: '/findings/:id',
  detections: '/detections',
  detection: '/detections/:id',
  search: '/search',
  risk: '/risk',
  suppressions: '/suppressions',
  sources: '/sources',
  operations: '/operations',
  docs: '/docs',
} as const
