#include "bridge/flow_window.h"

#include <algorithm>

namespace node_asgi::bridge {

FlowWindow::FlowWindow(size_t high_water_mark)
    : high_water_mark_(std::max<size_t>(1, high_water_mark)) {}

void FlowWindow::Take(size_t bytes) { under_way_ += bytes; }

bool FlowWindow::Give(size_t bytes) {
  const bool was_open = open();
  under_way_ -= std::min(bytes, under_way_);
  return !was_open && open();
}

}  // namespace node_asgi::bridge
