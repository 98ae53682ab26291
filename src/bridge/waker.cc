#include "bridge/waker.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#ifdef __linux__
#include <sys/eventfd.h>
#endif

namespace node_asgi::bridge {

FdWaker::FdWaker() {
#ifdef __linux__
  read_fd_ = write_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (read_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
#else
  int ends[2];
  if (pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  for (int fd : ends) {
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  read_fd_ = ends[0];
  write_fd_ = ends[1];
#endif
}

FdWaker::~FdWaker() {
  close(read_fd_);
  if (write_fd_ != read_fd_) close(write_fd_);
}

void FdWaker::Wake() noexcept {
  const uint64_t one = 1;
  // A full counter or pipe means that a wake-up is already waiting.
  while (write(write_fd_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void FdWaker::Clear() noexcept {
  uint64_t sink[8];
#ifdef __linux__
  while (read(read_fd_, sink, sizeof sink[0]) < 0 && errno == EINTR) {
  }
#else
  while (read(read_fd_, sink, sizeof sink) > 0) {
  }
#endif
}

}  // namespace node_asgi::bridge
