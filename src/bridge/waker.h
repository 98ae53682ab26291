// Wakes a sleeping consumer thread.
// Thread: Wake() any; the rest the consumer. Wake() must be safe until the waker is destroyed.
#ifndef NODE_ASGI_BRIDGE_WAKER_H_
#define NODE_ASGI_BRIDGE_WAKER_H_

namespace node_asgi::bridge {

class Waker {
 public:
  virtual ~Waker() = default;
  virtual void Wake() noexcept = 0;
};

// A file descriptor that becomes readable: an eventfd on Linux, a pipe elsewhere.
class FdWaker final : public Waker {
 public:
  FdWaker();
  ~FdWaker() override;
  FdWaker(const FdWaker&) = delete;
  FdWaker& operator=(const FdWaker&) = delete;

  void Wake() noexcept override;
  // Consumes the wake-ups so far. Call before draining, never after: a wake in between would be
  // lost.
  void Clear() noexcept;
  int fd() const { return read_fd_; }

 private:
  int read_fd_ = -1;
  int write_fd_ = -1;
};

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_WAKER_H_
