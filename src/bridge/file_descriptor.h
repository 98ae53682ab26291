// An open file that belongs to whoever holds this.
// Thread: any; like a pointer, one at a time.
#ifndef NODE_ASGI_BRIDGE_FILE_DESCRIPTOR_H_
#define NODE_ASGI_BRIDGE_FILE_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace node_asgi::bridge {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  // Takes over an open descriptor; below zero stands for none.
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.Release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    FileDescriptor old(std::exchange(fd_, other.Release()));
    return *this;
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_FILE_DESCRIPTOR_H_
