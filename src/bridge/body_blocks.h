// Memory for pieces of response bodies. The Python thread fills a block, JavaScript writes it to a
// socket through a Buffer that was made once, and gives it back. A new Buffer for each piece would
// cost more than the piece: V8 counts its bytes and collects all garbage after some hundred of
// them. Thread: any. Owner: a ResponseSink, and the Buffers; a block belongs to whoever holds the
// handle. Teardown: with the last Buffer.
#ifndef NODE_ASGI_BRIDGE_BODY_BLOCKS_H_
#define NODE_ASGI_BRIDGE_BODY_BLOCKS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace node_asgi::bridge {

class BodyBlocks;

// A block that belongs to whoever holds this; none, when false. Must not outlive its BodyBlocks.
class BodyBlock {
 public:
  BodyBlock() = default;
  BodyBlock(BodyBlocks* from, uint32_t index) : from_(from), index_(index) {}
  BodyBlock(BodyBlock&& other) noexcept
      : from_(std::exchange(other.from_, nullptr)), index_(other.index_) {}
  BodyBlock& operator=(BodyBlock&& other) noexcept {
    BodyBlock old(std::move(*this));
    from_ = std::exchange(other.from_, nullptr);
    index_ = other.index_;
    return *this;
  }
  BodyBlock(const BodyBlock&) = delete;
  BodyBlock& operator=(const BodyBlock&) = delete;
  ~BodyBlock();

  explicit operator bool() const { return from_ != nullptr; }
  char* data() const;
  // Hands the block over to whoever will call BodyBlocks::Give().
  uint32_t Release() {
    from_ = nullptr;
    return index_;
  }

 private:
  BodyBlocks* from_ = nullptr;
  uint32_t index_ = 0;
};

class BodyBlocks {
 public:
  static constexpr size_t kBytes = 65536;  // of a block
  static constexpr size_t kMost = 128;     // blocks

  BodyBlocks() = default;
  BodyBlocks(const BodyBlocks&) = delete;
  BodyBlocks& operator=(const BodyBlocks&) = delete;
  ~BodyBlocks();

  // Memory is allocated with the first use of a block. None when all are in use.
  BodyBlock Take();
  void Give(uint32_t index);
  // Null when the block was never taken.
  char* data(uint32_t index) const;

 private:
  mutable std::mutex mutex_;
  std::array<std::unique_ptr<char[]>, kMost> memory_;
  std::vector<uint32_t> free_;  // those that have memory; the last to be given is warm in a cache
  uint32_t made_ = 0;
};

inline BodyBlock::~BodyBlock() {
  if (from_ != nullptr) from_->Give(index_);
}

inline char* BodyBlock::data() const { return from_->data(index_); }

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_BODY_BLOCKS_H_
