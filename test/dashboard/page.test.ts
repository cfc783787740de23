import { describeInBrowser } from './browser.js';
import { describeAccess } from './parts/access.js';
import { describeDeadLetters } from './parts/dead-letters.js';
import { describeOverview } from './parts/overview.js';
import { describeTimeline } from './parts/timeline.js';

// One file, for a browser takes longer to start than most of these tests.
describeInBrowser('the page of the dashboard', () => {
  describeOverview();
  describeDeadLetters();
  describeTimeline();
  describeAccess();
});
