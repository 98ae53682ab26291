#include "bridge/request_head.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace node_asgi::bridge {
namespace {

std::vector<std::pair<std::string, std::string>> Headers(std::string_view rest) {
  std::vector<std::pair<std::string, std::string>> all;
  std::string_view name;
  std::string_view value;
  while (RequestHead::NextHeader(&rest, &name, &value)) all.emplace_back(name, value);
  return all;
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(RequestHead, SplitsFieldsAndHeaders) {
  RequestHead head;
  ASSERT_TRUE(
      RequestHead::Split("GET\n/a?b\n1.1\nhttp\n::1\n5\nhost\n80\n/root\nhost\nx\nA\nb", &head));
  EXPECT_EQ(head.method, "GET");
  EXPECT_EQ(head.target, "/a?b");
  EXPECT_EQ(head.client_host, "::1");
  EXPECT_EQ(head.server_port, "80");
  EXPECT_EQ(head.root_path, "/root");
  EXPECT_EQ(Headers(head.headers), (Pairs{{"host", "x"}, {"A", "b"}}));
}

TEST(RequestHead, HasNoHeadersWhenThereAreNone) {
  RequestHead head;
  ASSERT_TRUE(RequestHead::Split("GET\n/\n1.1\nhttp\n\n\n\n\n", &head));
  EXPECT_TRUE(head.client_host.empty());
  EXPECT_TRUE(Headers(head.headers).empty());
}

TEST(RequestHead, KeepsEmptyValues) {
  EXPECT_EQ(Headers("a\n\nb\n"), (Pairs{{"a", ""}, {"b", ""}}));
}

TEST(RequestHead, RefusesAHeadThatLacksAField) {
  RequestHead head;
  for (const char* text : {"", "GET", "GET\n/\n1.1", "GET\n/\n1.1\nhttp\n\n\n\n"}) {
    EXPECT_FALSE(RequestHead::Split(text, &head)) << text;
  }
}

TEST(RequestHead, ANameWithoutAValueEndsTheHeaders) {
  EXPECT_EQ(Headers("a\nb\nc"), (Pairs{{"a", "b"}}));
}

TEST(PercentDecode, DecodesEscapesAndLeavesTheRest) {
  EXPECT_EQ(PercentDecode("/caf%C3%A9%2f+%"), "/caf\xC3\xA9/+%");
  EXPECT_EQ(PercentDecode("%zz%4"), "%zz%4");
  EXPECT_EQ(PercentDecode("%41"), "A");
  EXPECT_EQ(PercentDecode(std::string("%00")), std::string(1, '\0'));
}

TEST(RequestTarget, UnderstandsEveryForm) {
  const struct {
    const char* target;
    const char* path;
    const char* query;
  } forms[] = {
      {"/p?a?b", "/p", "a?b"},
      {"http://host:1/p?q", "/p", "q"},
      {"http://host", "/", ""},
      {"http://host?q", "/", "q"},
      {"*", "*", ""},
      {"", "/", ""},
      {"?q", "/", "q"},
      {"/a#fragment", "/a", ""},
      {"/redirect?to=http://other/x", "/redirect", "to=http://other/x"},
      {"//double", "//double", ""},
  };
  for (const auto& form : forms) {
    const RequestTarget split = RequestTarget::Split(form.target);
    EXPECT_EQ(split.raw_path, form.path) << form.target;
    EXPECT_EQ(split.query, form.query) << form.target;
  }
}

}  // namespace
}  // namespace node_asgi::bridge
