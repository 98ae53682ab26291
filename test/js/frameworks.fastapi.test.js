'use strict';

const { describeFramework } = require('../helpers/framework-suite');

describeFramework('fastapi', {
  statuses: { invalid: 422 },
  // Its outermost middleware, which turns exceptions into 500, stands before the app's own.
  middlewareCovers: (target) => target !== '/boom',
});
