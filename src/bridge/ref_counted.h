// Intrusive reference counting for objects that cross threads.
// Thread: any, or one at a time. Owner: whoever holds a RefPtr. Teardown: the last RefPtr deletes,
// on its own thread.
#ifndef NODE_ASGI_BRIDGE_REF_COUNTED_H_
#define NODE_ASGI_BRIDGE_REF_COUNTED_H_

#include <atomic>
#include <cstdint>
#include <utility>

namespace node_asgi::bridge {

class RefCounted {
 public:
  // kOne: one thread at a time takes and drops references, such as the one that holds the GIL, so
  // that none of it locks the bus: each request takes some sixteen.
  enum class Threads : uint8_t { kAny, kOne };

  explicit RefCounted(Threads threads = Threads::kAny) : threads_(threads) {}
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

 protected:
  virtual ~RefCounted() = default;

 private:
  template <class T>
  friend class RefPtr;
  void Ref() const {
    if (threads_ == Threads::kAny) {
      count_.fetch_add(1, std::memory_order_relaxed);
    } else {
      count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
  }
  void Unref() const {
    if (threads_ == Threads::kAny) {
      if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    } else {
      const uint32_t rest = count_.load(std::memory_order_relaxed) - 1;
      count_.store(rest, std::memory_order_relaxed);
      if (rest == 0) delete this;
    }
  }
  mutable std::atomic<uint32_t> count_{0};
  const Threads threads_;
};

template <class T>
class RefPtr {
 public:
  RefPtr() = default;
  RefPtr(std::nullptr_t) {}  // NOLINT(runtime/explicit): reads as an ordinary pointer
  explicit RefPtr(T* raw) : raw_(raw) {
    if (raw_ != nullptr) raw_->Ref();
  }
  RefPtr(const RefPtr& other) : RefPtr(other.raw_) {}
  RefPtr(RefPtr&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  RefPtr& operator=(RefPtr other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~RefPtr() {
    if (raw_ != nullptr) raw_->Unref();
  }

  T* get() const { return raw_; }
  T* operator->() const { return raw_; }
  T& operator*() const { return *raw_; }
  explicit operator bool() const { return raw_ != nullptr; }
  bool operator==(const RefPtr& other) const { return raw_ == other.raw_; }

  // Hands the reference to a C struct; AdoptRaw takes it back.
  T* ReleaseRaw() { return std::exchange(raw_, nullptr); }
  static RefPtr AdoptRaw(T* raw) {
    RefPtr adopted;
    adopted.raw_ = raw;
    return adopted;
  }

 private:
  T* raw_ = nullptr;
};

template <class T, class... Args>
RefPtr<T> MakeRef(Args&&... args) {
  return RefPtr<T>(new T(std::forward<Args>(args)...));
}

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_REF_COUNTED_H_
