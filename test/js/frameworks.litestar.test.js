'use strict';

const { describeFramework } = require('../helpers/framework-suite');

describeFramework('litestar', { statuses: { posted: 201 } });
