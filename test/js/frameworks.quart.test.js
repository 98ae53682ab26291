'use strict';

const { describeFramework } = require('../helpers/framework-suite');

describeFramework('quart', {
  // The mounted app stands beside the one with the middleware.
  middlewareCovers: (target) => target !== '/sub/info',
});
