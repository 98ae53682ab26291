'use strict';

const { describeFramework } = require('../helpers/framework-suite');

describeFramework('django', {
  statuses: { redirect: 302 },
  // Included URLs are not an app of their own, so the root path stays that of the whole.
  subRootPath: '',
});
