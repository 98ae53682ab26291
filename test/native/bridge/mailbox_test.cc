#include "bridge/mailbox.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <thread>
#include <vector>

namespace node_asgi::bridge {
namespace {

class CountingWaker final : public Waker {
 public:
  void Wake() noexcept override { ++wakes; }
  int wakes = 0;
};

TEST(Mailbox, WakesOncePerBatch) {
  CountingWaker waker;
  Mailbox<int> mailbox(waker);
  for (int i = 0; i < 10; ++i) mailbox.Post(int(i));
  EXPECT_EQ(waker.wakes, 1);
  std::vector<int> seen;
  EXPECT_FALSE(mailbox.Drain([&](int item) { seen.push_back(item); }));
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  mailbox.Post(10);
  EXPECT_EQ(waker.wakes, 2);
  EXPECT_EQ(mailbox.wakeups(), 2U);
}

TEST(Mailbox, DrainIsCappedSoThatOtherWorkGetsItsTurn) {
  CountingWaker waker;
  Mailbox<size_t> mailbox(waker);
  const size_t total = Mailbox<size_t>::kDrainCap + 3;
  for (size_t i = 0; i < total; ++i) mailbox.Post(size_t(i));
  size_t next = 0;
  const auto in_order = [&](size_t item) { EXPECT_EQ(item, next++); };
  EXPECT_TRUE(mailbox.Drain(in_order));
  EXPECT_EQ(next, Mailbox<size_t>::kDrainCap);
  EXPECT_FALSE(mailbox.Drain(in_order));
  EXPECT_EQ(next, total);
}

TEST(Mailbox, ASpinningConsumerIsNotWoken) {
  CountingWaker waker;
  Mailbox<int> mailbox(waker);
  std::thread producer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    mailbox.Post(7);
  });
  EXPECT_TRUE(mailbox.Spin(std::chrono::seconds(10)));
  producer.join();
  EXPECT_EQ(waker.wakes, 0);
  int seen = 0;
  mailbox.Drain([&](int item) { seen = item; });
  EXPECT_EQ(seen, 7);
  EXPECT_FALSE(mailbox.Spin(std::chrono::microseconds(100))) << "nothing came";
  mailbox.Post(8);
  EXPECT_EQ(waker.wakes, 1) << "it looks no longer, so it must be woken";
  EXPECT_TRUE(mailbox.Spin(std::chrono::seconds(10))) << "what waits already is found at once";
}

TEST(Mailbox, NothingIsLostBetweenSpinningAndSleeping) {
  constexpr int kItems = 20000;
  FdWaker waker;
  Mailbox<int> mailbox(waker);
  std::thread producer([&] {
    for (int i = 0; i < kItems; ++i) {
      mailbox.Post(int(i));
      if (i % 64 == 0) std::this_thread::sleep_for(std::chrono::microseconds(i % 7));
    }
  });
  int seen = 0;
  while (seen < kItems) {
    if (!mailbox.Spin(std::chrono::microseconds(3))) {
      pollfd ready{waker.fd(), POLLIN, 0};
      ASSERT_EQ(poll(&ready, 1, 10000), 1) << "asleep with " << kItems - seen << " items to come";
      waker.Clear();
    }
    while (mailbox.Drain([&](int item) { EXPECT_EQ(item, seen++); })) {
    }
  }
  producer.join();
}

TEST(Mailbox, WhatIsPostedDuringADrainWakesAgain) {
  CountingWaker waker;
  Mailbox<int> mailbox(waker);
  mailbox.Post(1);
  mailbox.Drain([&](int) { mailbox.Post(2); });
  EXPECT_EQ(waker.wakes, 2);
  int seen = 0;
  mailbox.Drain([&](int item) { seen = item; });
  EXPECT_EQ(seen, 2);
}

TEST(Mailbox, WakeUpsThatBecomeOneLoseNothing) {
  CountingWaker waker;
  Mailbox<size_t> mailbox(waker);
  for (size_t i = 0; i < Mailbox<size_t>::kDrainCap + 1; ++i) mailbox.Post(size_t(i));
  size_t seen = 0;
  const auto count = [&](size_t) { ++seen; };
  ASSERT_TRUE(mailbox.Drain(count)) << "a rest of one is left, so the consumer wakes itself";
  mailbox.Post(0);
  // A uv_async_t makes the producer's wake-up and the consumer's own into one call.
  EXPECT_TRUE(mailbox.Drain(count)) << "the rest is done, but something came in meanwhile";
  EXPECT_FALSE(mailbox.Drain(count));
  EXPECT_EQ(seen, Mailbox<size_t>::kDrainCap + 2);
}

TEST(Mailbox, ALaterWakeWaitsForAFlush) {
  CountingWaker waker;
  Mailbox<int> mailbox(waker);
  mailbox.Post(1, Mailbox<int>::WakeUp::kLater);
  EXPECT_EQ(waker.wakes, 0);
  mailbox.Flush();
  mailbox.Flush();
  EXPECT_EQ(waker.wakes, 1);
  mailbox.Drain([](int) {});
  mailbox.Flush();
  EXPECT_EQ(waker.wakes, 1) << "nothing waits, so nobody is woken";
}

TEST(Mailbox, CloseReturnsTheUnseenAndRefusesMore) {
  CountingWaker waker;
  Mailbox<int> mailbox(waker);
  EXPECT_TRUE(mailbox.Post(1));
  EXPECT_EQ(mailbox.Close(), std::vector<int>{1});
  EXPECT_FALSE(mailbox.Post(2));
  mailbox.Flush();
  EXPECT_EQ(waker.wakes, 1);
}

TEST(Mailbox, ManyProducersLoseNothingAndKeepTheirOrder) {
  constexpr int kProducers = 8;
  constexpr int kItems = 20000;
  struct Item {
    int producer;
    int number;
  };
  FdWaker waker;
  Mailbox<Item> mailbox(waker);
  std::vector<std::thread> producers;
  for (int producer = 0; producer < kProducers; ++producer) {
    producers.emplace_back([&mailbox, producer] {
      for (int number = 0; number < kItems; ++number) {
        // Every other post leaves its wake-up to a flush.
        const bool later = number % 2 == 0;
        mailbox.Post({producer, number},
                     later ? Mailbox<Item>::WakeUp::kLater : Mailbox<Item>::WakeUp::kNow);
        if (later) mailbox.Flush();
      }
    });
  }
  std::vector<int> next(kProducers, 0);
  int total = 0;
  while (total < kProducers * kItems) {
    pollfd ready{waker.fd(), POLLIN, 0};
    ASSERT_EQ(poll(&ready, 1, 10000), 1) << "a wake-up was lost after " << total << " items";
    waker.Clear();
    while (mailbox.Drain([&](Item item) {
      EXPECT_EQ(item.number, next[item.producer]++);
      ++total;
    })) {
    }
  }
  for (std::thread& producer : producers) producer.join();
}

TEST(Mailbox, ClosingWhileProducersPostNeverWakesADeadConsumer) {
  for (int round = 0; round < 50; ++round) {
    auto waker = std::make_unique<CountingWaker>();
    Mailbox<int> mailbox(*waker);
    std::atomic<bool> closed{false};
    std::thread producer([&] {
      while (!closed.load()) mailbox.Post(1);
      EXPECT_FALSE(mailbox.Post(1));
    });
    mailbox.Close();
    waker.reset();  // a wake-up from here on would be a use after free
    closed = true;
    producer.join();
  }
}

TEST(FdWaker, IsReadableUntilCleared) {
  FdWaker waker;
  pollfd ready{waker.fd(), POLLIN, 0};
  EXPECT_EQ(poll(&ready, 1, 0), 0);
  waker.Wake();
  waker.Wake();
  EXPECT_EQ(poll(&ready, 1, 0), 1);
  waker.Clear();
  EXPECT_EQ(poll(&ready, 1, 0), 0);
}

}  // namespace
}  // namespace node_asgi::bridge
