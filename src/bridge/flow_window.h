// Credit of one direction of one exchange: how many bytes are under way, and whether more may
// follow. Thread: the sending side's only.
#ifndef NODE_ASGI_BRIDGE_FLOW_WINDOW_H_
#define NODE_ASGI_BRIDGE_FLOW_WINDOW_H_

#include <cstddef>

namespace node_asgi::bridge {

class FlowWindow {
 public:
  // high_water_mark: bytes that may be under way before the sender must wait. 0 counts as 1.
  explicit FlowWindow(size_t high_water_mark);

  void Take(size_t bytes);
  // True when this made a closed window open again: the moment to wake a waiting sender.
  bool Give(size_t bytes);
  bool open() const { return under_way_ < high_water_mark_; }
  size_t under_way() const { return under_way_; }

 private:
  size_t high_water_mark_;
  size_t under_way_ = 0;
};

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_FLOW_WINDOW_H_
