import type { ComponentType } from 'preact'
import { DetectionPage } from './pages/detection.js'
import { DetectionsPage } from './pages/detections.js'
import { DocsPage } from './pages/docs.js'
import { FindingPage } from './pages/finding.js'
import { FindingsPage } from './pages/findings.js'
import { HomePage } from './pages/home.js'
import { SearchPage } from './pages/search.js'
import { OperationsPage } from './pages/operations.js'
import { RiskPage } from './pages/risk.js'
import { SuppressionsPage } from './pages/suppressions.js'
import { SourcesPage } from './pages/sources.js'
import { PATHS } from './paths.js'

export interface PageProps {
  /** What the path's `:names` are. */
  readonly params: Readonly<Record<string, string>>
}

export interface Page {
  readonly path: string
  readonly title: string
  readonly component: ComponentType<PageProps>
  /** Of a page that the navigation leads to: `g` and this key go there. */
  readonly key?: string
}

/** Every page, in the order of the navigation. A page is added here, and nowhere else. */
export const PAGES: readonly Page[] = [
  { path: PATHS.home, title: 'Home', component: HomePage, key: 'h' },
  { path: PATHS.findings, title: 'Findings', component: FindingsPage, key: 'f' },
  { path: PATHS.finding, title: 'Finding', component: FindingPage },
  { path: PATHS.detections, title: 'Detections', component: DetectionsPage, key: 'd' },
  { path: PATHS.detection, title: 'Detection', component: DetectionPage },
  { path: PATHS.search, title: 'Search', component: SearchPage, key: 's' },
  { path: PATHS.risk, title: 'Risk objects', component: RiskPage, key: 'r' },
  { path: PATHS.suppressions, title: 'Suppressions', component: SuppressionsPage, key: 'u' },
  { path: PATHS.sources, title: 'Sources', component: SourcesPage, key: 'o' },
  { path: PATHS.operations, title: 'Operations', component: OperationsPage, key: 'm' },
  { path: PATHS.docs, title: 'API', component: DocsPage, key: 'p' },
]
