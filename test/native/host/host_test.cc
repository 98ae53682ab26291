#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "host/application.h"
#include "host/deadlines.h"
#include "host/dispatcher.h"
#include "python_host.h"

namespace node_asgi::host {
namespace {

using std::chrono::milliseconds;

class DroppingSink final : public bridge::ResponseSink {
 public:
  void Post(bridge::ResponseEvent event, Urgency) override {
    if (event.failure) failure.set_value(*event.failure);
  }
  void Flush() override {}
  std::promise<bridge::Failure> failure;
};

TEST(Deadlines, RunsWhatIsArmedAfterItsDelay) {
  Deadlines deadlines;
  std::promise<void> expired;
  const auto began = std::chrono::steady_clock::now();
  EXPECT_NE(deadlines.Arm(milliseconds(20), [&] { expired.set_value(); }), 0U);
  expired.get_future().get();
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(20));
}

TEST(Deadlines, ADisarmedOneNeverRuns) {
  Deadlines deadlines;
  std::atomic<bool> ran{false};
  std::promise<void> later;
  const uint64_t armed = deadlines.Arm(milliseconds(30), [&] { ran = true; });
  deadlines.Disarm(armed);
  deadlines.Disarm(0);
  deadlines.Disarm(999999);
  deadlines.Arm(milliseconds(60), [&] { later.set_value(); });
  later.get_future().get();
  EXPECT_FALSE(ran);
}

TEST(Deadlines, RepeatsUntilToldToStop) {
  Deadlines deadlines;
  std::atomic<int> ticks{0};
  std::promise<void> stopped;
  deadlines.Repeat(milliseconds(1), [&] {
    if (++ticks < 5) return true;
    stopped.set_value();
    return false;
  });
  stopped.get_future().get();
  std::promise<void> later;
  deadlines.Arm(milliseconds(20), [&] { later.set_value(); });
  later.get_future().get();
  EXPECT_EQ(ticks, 5);
}

TEST(Dispatcher, RefusesAboveTheCapAndOnceClosed) {
  ApplicationOptions options;
  options.max_concurrency = 1;
  const auto sink = std::make_shared<DroppingSink>();
  const auto application = bridge::MakeRef<Application>(Runtime::Get(), options, sink);
  Refusal refusal;
  const auto first = Admit(*application, {}, sink, &refusal);
  EXPECT_TRUE(first);
  EXPECT_FALSE(Admit(*application, {}, sink, &refusal));
  EXPECT_EQ(refusal, Refusal::kBusy);
  EXPECT_EQ(application->admitted.load(), 1U) << "a refused request must not count";
  application->closing = true;
  EXPECT_FALSE(Admit(*application, {}, sink, &refusal));
  EXPECT_EQ(refusal, Refusal::kClosed);
}

TEST(Application, AFailedLoadReachesWhoeverWaits) {
  ApplicationOptions options;
  options.target = "nowhere:app";
  options.docroot = ::testing::TempDir();
  const auto sink = std::make_shared<DroppingSink>();
  const auto application = bridge::MakeRef<Application>(test::StartedRuntime(), options, sink);
  Refusal refusal;
  bridge::ExchangeRequest request;
  request.head = "GET\n/\n1.1\nhttp\n\n\n\n\n";
  const auto exchange = Admit(*application, std::move(request), sink, &refusal);
  Begin(*application, exchange);
  test::OnPython(
      [&](const python::GilHeld& gil) { application->Load(gil, [](const bridge::Failure*) {}); });
  const bridge::Failure failure = sink->failure.get_future().get();
  EXPECT_EQ(failure.python_type, "node_asgi.importer.TargetError");
  EXPECT_NE(failure.message.find("nowhere"), std::string::npos) << failure.message;
}

TEST(Runtime, StopsInTimeWithNothingLoaded) {
  test::StartedRuntime();
  EXPECT_TRUE(Runtime::Get().StopBlocking(milliseconds(5000)));
}

}  // namespace
}  // namespace node_asgi::host
