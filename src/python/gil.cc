#include "python/gil.h"

#include <cassert>

#include "python/api.h"

namespace node_asgi::python {

GilHeld GilHeld::FromPython() {
  assert(PyGILState_Check() == 1);
  return GilHeld();
}

}  // namespace node_asgi::python
