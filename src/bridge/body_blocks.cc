#include "bridge/body_blocks.h"

#include "bridge/live_count.h"

namespace node_asgi::bridge {

BodyBlocks::~BodyBlocks() {
  // An environment that was terminated has not given back what it held.
  for (size_t out = made_ - free_.size(); out > 0; --out) CountDown(Live::kBlock);
}

BodyBlock BodyBlocks::Take() {
  std::lock_guard lock(mutex_);
  uint32_t index = made_;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else if (made_ < kMost) {
    // Not initialised: the first use writes it.
    memory_[made_++].reset(new char[kBytes]);
  } else {
    return BodyBlock();
  }
  CountUp(Live::kBlock);
  return BodyBlock(this, index);
}

void BodyBlocks::Give(uint32_t index) {
  std::lock_guard lock(mutex_);
  CountDown(Live::kBlock);
  free_.push_back(index);
}

char* BodyBlocks::data(uint32_t index) const {
  std::lock_guard lock(mutex_);
  return index < made_ ? memory_[index].get() : nullptr;
}

}  // namespace node_asgi::bridge
