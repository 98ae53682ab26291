// The native way of a request, without Node: admitted, its scope built, an app run, its response
// posted and taken. For instruction counts under callgrind (scripts/instructions.js). argv:
// requests, the folder of hello.py.
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

#include "host/application.h"
#include "host/dispatcher.h"
#include "python_host.h"

namespace {

using namespace node_asgi;  // NOLINT(build/namespaces): a program of one file

constexpr int kBatch = 64;
constexpr char kHead[] =
    "GET\n/items/42?page=1\n1.1\nhttp\n127.0.0.1\n50000\n127.0.0.1\n8000\n\n"
    "host\nlocalhost:8000\nuser-agent\nbench/1.0\naccept\n*/*\naccept-encoding\ngzip, br\n"
    "connection\nkeep-alive\nx-request-id\n7f2c1e0a";

// Counts whole responses, as the JavaScript side would take them.
class CountingSink final : public bridge::ResponseSink {
 public:
  void Post(bridge::ResponseEvent event, Urgency) override {
    std::lock_guard lock(mutex_);
    if (event.kind != bridge::ResponseEvent::Kind::kWhole || event.status != 200) {
      std::fprintf(stderr, "expected a whole response of status 200\n");
      std::abort();
    }
    if (++answered_ == wanted_) done_.set_value();
  }
  void Flush() override {}

  std::future<void> Expect(int responses) {
    std::lock_guard lock(mutex_);
    done_ = {};
    answered_ = 0;
    wanted_ = responses;
    return done_.get_future();
  }

 private:
  std::mutex mutex_;
  int answered_ = 0;
  int wanted_ = 0;
  std::promise<void> done_;
};

}  // namespace

int main(int, char** argv) {
  const int requests = std::atoi(argv[1]);
  host::ApplicationOptions options;
  options.target = "hello:app";
  options.docroot = argv[2];
  options.lifespan = "off";
  const auto sink = std::make_shared<CountingSink>();
  host::Runtime& runtime = test::StartedRuntime();
  const auto application = bridge::MakeRef<host::Application>(runtime, options, sink);
  test::OnPython(
      [&](const python::GilHeld& gil) { application->Load(gil, [](const bridge::Failure*) {}); });
  for (int begun = 0; begun < requests; begun += kBatch) {
    std::future<void> done = sink->Expect(kBatch);
    for (int i = 0; i < kBatch; ++i) {
      bridge::ExchangeRequest request;
      request.head = kHead;
      request.abilities = bridge::kTrailers;
      host::Refusal refusal;
      const auto exchange = host::Admit(*application, std::move(request), sink, &refusal);
      host::Begin(*application, exchange, host::Runtime::WakeUp::kLater);
    }
    runtime.Flush();
    done.get();
  }
  std::_Exit(0);
}
