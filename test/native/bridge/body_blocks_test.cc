#include "bridge/body_blocks.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "bridge/live_count.h"

namespace node_asgi::bridge {
namespace {

TEST(BodyBlocks, ABlockComesBackWithItsHandle) {
  BodyBlocks blocks;
  char* first = nullptr;
  {
    const BodyBlock block = blocks.Take();
    ASSERT_TRUE(block);
    first = block.data();
    std::memset(first, 1, BodyBlocks::kBytes);
    EXPECT_EQ(LiveCount(Live::kBlock), 1);
  }
  EXPECT_EQ(LiveCount(Live::kBlock), 0);
  EXPECT_EQ(blocks.Take().data(), first) << "the last that was given back is the next";
}

TEST(BodyBlocks, AReleasedBlockIsOutUntilItIsGiven) {
  BodyBlocks blocks;
  uint32_t index = 0;
  char* data = nullptr;
  {
    BodyBlock block = blocks.Take();
    data = block.data();
    index = block.Release();
    EXPECT_FALSE(block);
  }
  EXPECT_EQ(blocks.data(index), data);
  EXPECT_NE(blocks.Take().data(), data);
  blocks.Give(index);
  EXPECT_EQ(LiveCount(Live::kBlock), 0);
}

TEST(BodyBlocks, ThereAreNoMoreThanTheMost) {
  BodyBlocks blocks;
  std::vector<BodyBlock> held;
  std::set<char*> different;
  for (size_t i = 0; i < BodyBlocks::kMost; ++i) {
    held.push_back(blocks.Take());
    ASSERT_TRUE(held.back());
    different.insert(held.back().data());
  }
  EXPECT_EQ(different.size(), BodyBlocks::kMost);
  EXPECT_FALSE(blocks.Take());
  held.pop_back();
  EXPECT_TRUE(blocks.Take());
  EXPECT_EQ(blocks.data(BodyBlocks::kMost), nullptr);
}

TEST(BodyBlocks, AMovedHandleGivesBackOnce) {
  BodyBlocks blocks;
  BodyBlock one = blocks.Take();
  BodyBlock other = blocks.Take();
  char* const data = one.data();
  other = std::move(one);
  EXPECT_FALSE(one);
  EXPECT_EQ(other.data(), data);
  EXPECT_EQ(LiveCount(Live::kBlock), 1);
}

TEST(BodyBlocks, ThreadsShareThem) {
  BodyBlocks blocks;
  const auto work = [&blocks](char mark) {
    for (int i = 0; i < 2000; ++i) {
      BodyBlock block = blocks.Take();
      ASSERT_TRUE(block);
      std::memset(block.data(), mark, 64);
      for (int at = 0; at < 64; ++at) ASSERT_EQ(block.data()[at], mark);
      if (i % 2 == 0) blocks.Give(block.Release());
    }
  };
  std::vector<std::thread> threads;
  for (char mark = 'a'; mark < 'e'; ++mark) threads.emplace_back(work, mark);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(LiveCount(Live::kBlock), 0);
}

}  // namespace
}  // namespace node_asgi::bridge
