#include <doctest/doctest.h>

#include <array>
#include <clocale>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <alidade/core/errors.hpp>
#include <alidade/perf/monitor.hpp>
#include <alidade/perf/report.hpp>

#include "parsers.hpp"

using namespace alidade::perf;

namespace {

/// A busy series with a troublesome name, one that was never used, and one with a value beyond the range.
std::vector<series_snapshot> examples() {
  std::vector<series_snapshot> all(3);
  all[0].name = "\"k\\10\"\n";
  all[0].state = health::degraded;
  all[0].seconds = 2.5;
  all[0].last = {1.25, 40, 99'000};
  for (std::uint64_t i = 1; i <= 1000; ++i) all[0].latency.record(i * 100);  // 100 ns to 100 us
  all[1].name = "idle";
  all[1].seconds = 4;
  all[2].name = "größe";
  all[2].state = health::critical;
  all[2].seconds = 0.001;
  all[2].latency.record(10'000'000'000'000);
  return all;
}

}  // namespace

TEST_CASE("durations have three digits and a unit") {
  using detail::duration_text;
  const std::pair<std::uint64_t, const char*> cases[] = {{0, "0 ns"},
                                                         {1, "1 ns"},
                                                         {999, "999 ns"},
                                                         {1000, "1.00 us"},
                                                         {1004, "1.00 us"},
                                                         {1005, "1.01 us"},
                                                         {9994, "9.99 us"},
                                                         {9995, "10.0 us"},
                                                         {99'949, "99.9 us"},
                                                         {99'950, "100 us"},
                                                         {999'499, "999 us"},
                                                         {999'500, "1.00 ms"},
                                                         {20'500'000, "20.5 ms"},
                                                         {999'499'999, "999 ms"},
                                                         {999'500'000, "1.00 s"},
                                                         {59'940'000'000, "59.9 s"},
                                                         {999'400'000'000, "999 s"},
                                                         {999'500'000'000, "1000 s"},
                                                         {3'600'500'000'000, "3601 s"},
                                                         {~std::uint64_t{0}, "18446744074 s"}};
  for (const auto& [ns, text] : cases) CHECK(duration_text(ns) == text);
}

TEST_CASE("decimals are exact and without a locale") {
  const auto decimal = [](std::uint64_t value, unsigned decimals) {
    std::string text;
    detail::append_decimal(text, value, decimals);
    return text;
  };
  CHECK(decimal(0, 9) == "0");
  CHECK(decimal(1, 9) == "0.000000001");
  CHECK(decimal(1'500'000'000, 9) == "1.5");
  CHECK(decimal(~std::uint64_t{0}, 9) == "18446744073.709551615");
  const char* const before = std::setlocale(LC_NUMERIC, nullptr);
  const std::string kept = before == nullptr ? "C" : before;
  std::setlocale(LC_NUMERIC, "de_DE.UTF-8");  // where there is one
  std::string real;
  detail::append_real(real, 2.5, 3);
  CHECK(real == "2.5");
  real.clear();
  detail::append_real(real, 1e30, 3);
  CHECK(real == "18446744073709551615");
  real.clear();
  detail::append_real(real, 0x1p60, 3);
  CHECK(real == "1152921504606846976");
  std::setlocale(LC_NUMERIC, kept.c_str());
}

TEST_CASE("the text report") {
  CHECK("\n" + to_text(examples()) == R"(
series       count  per s     mean      min      p50      p90      p95      p99    p99.9   p99.99      max  health
\"k\\10\"\n   1000    400  50.1 us   100 ns  50.1 us  90.1 us  95.2 us  98.9 us   100 us   100 us   100 us  degraded
idle             0      0        -        -        -        -        -        -        -        -        -  ok
größe            1   1000  10000 s  10000 s  10000 s  10000 s  10000 s  10000 s  10000 s  10000 s  10000 s  critical
)");
  CHECK(to_text(std::span<const series_snapshot>()).find("series  count  per s") == 0);
}

TEST_CASE("the JSON report") {
  const std::string text = to_json(examples());
  CHECK(test::json_reader::accepts(text));
  CHECK(
      text ==
      R"({"series":[{"name":"\"k\\10\"\n","health":"degraded","seconds":2.5,"count":1000,"per_second":400,)"
      R"("sum_ns":50050000,"mean_ns":50050,"min_ns":100,"p50_ns":50097,"p90_ns":90112,"p95_ns":95153,)"
      R"("p99_ns":98934,"p99_9_ns":100000,"p99_99_ns":100000,"max_ns":100000,"saturated":0,)"
      R"("interval":{"seconds":1.25,"count":40,"per_second":32,"quantile_ns":99000}},)"
      R"({"name":"idle","health":"ok","seconds":4,"count":0,"per_second":0,)"
      R"("sum_ns":0,"mean_ns":0,"min_ns":0,"p50_ns":0,"p90_ns":0,"p95_ns":0,)"
      R"("p99_ns":0,"p99_9_ns":0,"p99_99_ns":0,"max_ns":0,"saturated":0,)"
      R"("interval":{"seconds":0,"count":0,"per_second":0,"quantile_ns":0}},)"
      R"({"name":"größe","health":"critical","seconds":0.001,"count":1,"per_second":1000,)"
      R"("sum_ns":10000000000000,"mean_ns":10000000000000,"min_ns":10000000000000,"p50_ns":10000000000000,)"
      R"("p90_ns":10000000000000,"p95_ns":10000000000000,"p99_ns":10000000000000,"p99_9_ns":10000000000000,)"
      R"("p99_99_ns":10000000000000,"max_ns":10000000000000,"saturated":1,)"
      R"("interval":{"seconds":0,"count":0,"per_second":0,"quantile_ns":0}}]})");
  CHECK(to_json(std::span<const series_snapshot>()) == R"({"series":[]})");
}

TEST_CASE("names of any characters are JSON, and what is not UTF-8 becomes U+FFFD") {
  std::vector<series_snapshot> one(1);
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  one[0].name = all;
  CHECK(test::json_reader::accepts(to_json(one)));
  CHECK(test::exposition_reader::read(to_prometheus(one)));
  for (const char* ill :
       {"\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf0\x9f\x98", "\x80"}) {
    CHECK_FALSE(detail::is_utf8(ill));
    one[0].name = ill;
    CHECK(detail::is_utf8(to_json(one)));
    CHECK(to_json(one).find("\xef\xbf\xbd") != std::string::npos);
  }
  for (const char* well :
       {"", "a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(detail::is_utf8(well));
  }
}

TEST_CASE("the exposition as summaries") {
  const prometheus_label labels[] = {{"instance", "a\\b \"c\"\nd"}};
  const std::string text = to_prometheus(examples(), {.prefix = "my_app", .labels = labels});
  CHECK("\n" + text == R"(
# HELP my_app_latency_seconds Latencies, since the series began.
# TYPE my_app_latency_seconds summary
my_app_latency_seconds{series="\"k\\10\"\n",instance="a\\b \"c\"\nd",quantile="0.5"} 0.000050097
my_app_latency_seconds{series="\"k\\10\"\n",instance="a\\b \"c\"\nd",quantile="0.9"} 0.000090112
my_app_latency_seconds{series="\"k\\10\"\n",instance="a\\b \"c\"\nd",quantile="0.95"} 0.000095153
my_app_latency_seconds{series="\"k\\10\"\n",instance="a\\b \"c\"\nd",quantile="0.99"} 0.000098934
my_app_latency_seconds{series="\"k\\10\"\n",instance="a\\b \"c\"\nd",quantile="0.999"} 0.0001
my_app_latency_seconds{series="\"k\\10\"\n",instance="a\\b \"c\"\nd",quantile="0.9999"} 0.0001
my_app_latency_seconds_sum{series="\"k\\10\"\n",instance="a\\b \"c\"\nd"} 0.05005
my_app_latency_seconds_count{series="\"k\\10\"\n",instance="a\\b \"c\"\nd"} 1000
my_app_latency_seconds{series="idle",instance="a\\b \"c\"\nd",quantile="0.5"} NaN
my_app_latency_seconds{series="idle",instance="a\\b \"c\"\nd",quantile="0.9"} NaN
my_app_latency_seconds{series="idle",instance="a\\b \"c\"\nd",quantile="0.95"} NaN
my_app_latency_seconds{series="idle",instance="a\\b \"c\"\nd",quantile="0.99"} NaN
my_app_latency_seconds{series="idle",instance="a\\b \"c\"\nd",quantile="0.999"} NaN
my_app_latency_seconds{series="idle",instance="a\\b \"c\"\nd",quantile="0.9999"} NaN
my_app_latency_seconds_sum{series="idle",instance="a\\b \"c\"\nd"} 0
my_app_latency_seconds_count{series="idle",instance="a\\b \"c\"\nd"} 0
my_app_latency_seconds{series="größe",instance="a\\b \"c\"\nd",quantile="0.5"} 10000
my_app_latency_seconds{series="größe",instance="a\\b \"c\"\nd",quantile="0.9"} 10000
my_app_latency_seconds{series="größe",instance="a\\b \"c\"\nd",quantile="0.95"} 10000
my_app_latency_seconds{series="größe",instance="a\\b \"c\"\nd",quantile="0.99"} 10000
my_app_latency_seconds{series="größe",instance="a\\b \"c\"\nd",quantile="0.999"} 10000
my_app_latency_seconds{series="größe",instance="a\\b \"c\"\nd",quantile="0.9999"} 10000
my_app_latency_seconds_sum{series="größe",instance="a\\b \"c\"\nd"} 10000
my_app_latency_seconds_count{series="größe",instance="a\\b \"c\"\nd"} 1
# HELP my_app_health 0 ok, 1 degraded, 2 critical.
# TYPE my_app_health gauge
my_app_health{series="\"k\\10\"\n",instance="a\\b \"c\"\nd"} 1
my_app_health{series="idle",instance="a\\b \"c\"\nd"} 0
my_app_health{series="größe",instance="a\\b \"c\"\nd"} 2
)");
  const auto read = test::exposition_reader::read(text);
  REQUIRE(read);
  CHECK(read->families.size() == 2);
  const std::string family = "my_app_latency_seconds";
  CHECK(read->families.at(family).type == "summary");
  // What was escaped comes back.
  const auto with = [&](const std::string& series) {
    return test::exposition::labels{{"series", series}, {"instance", "a\\b \"c\"\nd"}};
  };
  const std::vector<series_snapshot> series = examples();
  for (const series_snapshot& s : series) {
    CHECK(read->at(family, family + "_count", with(std::string(s.name))) ==
          static_cast<double>(s.latency.count()));
    CHECK(read->at("my_app_health", "my_app_health", with(std::string(s.name))) ==
          static_cast<double>(s.state));
  }
  auto median = with(std::string(series[0].name));
  median["quantile"] = "0.5";
  CHECK(read->at(family, family, median) == doctest::Approx(50e-6).epsilon(0.01));
}

TEST_CASE("the exposition as histograms") {
  const std::string text = to_prometheus(examples(), {.form = prometheus_form::histogram});
  const auto read = test::exposition_reader::read(text);
  REQUIRE(read);
  const auto& family = read->families.at("alidade_latency_seconds");
  CHECK(family.type == "histogram");
  for (const series_snapshot& s : examples()) {
    std::map<double, double> buckets;
    for (const auto& [key, count] : family.samples) {
      const auto le = key.second.find("le");
      if (le == key.second.end() || key.second.at("series") != s.name) continue;
      buckets[le->second == "+Inf" ? HUGE_VAL : std::strtod(le->second.c_str(), nullptr)] = count;
    }
    CHECK(buckets.size() == 29);
    double before = 0;
    for (const auto& [le, count] : buckets) {
      CHECK(count >= before);
      before = count;
    }
    CHECK(before == static_cast<double>(s.latency.count()));
  }
  test::exposition::labels bound{{"series", std::string(examples()[0].name)}, {"le", "0.00002"}};
  const std::string bucket = "alidade_latency_seconds_bucket";
  CHECK(std::abs(read->at("alidade_latency_seconds", bucket, bound) - 200) <=
        2);  // 20 us, in steps of 100 ns
  bound["le"] = "100";
  CHECK(read->at("alidade_latency_seconds", bucket, bound) == 1000);
}

TEST_CASE("no series, no exposition; and names that it does not allow are refused") {
  CHECK(to_prometheus(std::span<const series_snapshot>()).empty());
  const auto error_of = [](const prometheus_options& options) {
    std::error_code ec = make_error_code(alidade::errc::not_finite);
    const std::string text = to_prometheus(examples(), options, ec);
    CHECK(text.empty() == static_cast<bool>(ec));
    return ec;
  };
  CHECK_FALSE(error_of({.prefix = "_a:B9"}));
  for (const char* prefix : {"", "9a", "a-b", "a b", "größe"}) {
    CHECK(error_of({.prefix = prefix}) == alidade::errc::invalid_option);
  }
  for (const char* name : {"", "9", "a:b", "__a", "series", "quantile", "le", "a\n"}) {
    const prometheus_label label[] = {{name, "v"}};
    CHECK(error_of({.labels = label}) == alidade::errc::invalid_option);
  }
  const prometheus_label twice[] = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
  CHECK(error_of({.labels = twice}) == alidade::errc::invalid_option);
  CHECK_FALSE(error_of({.labels = std::span(twice).first(2)}));
  CHECK_THROWS_AS(to_prometheus(examples(), {.prefix = ""}), alidade::error);
}

TEST_CASE("the little parsers are strict") {
  for (const char* bad :
       {"", "{", "{}x", "[1,]", "{\"a\"}", "\"\n\"", "\"\\x\"", "01", "1.", "\"\\u12g4\"", "[1 2]"}) {
    CHECK_FALSE(test::json_reader::accepts(bad));
  }
  for (const char* good : {"{}", "[]", "[1,{\"a\":\"\\u00e9\\n\"},0.5]"})
    CHECK(test::json_reader::accepts(good));
  const std::string head = "# HELP a b\n# TYPE a gauge\n";
  CHECK(test::exposition_reader::read(head + "a 1\n"));
  CHECK(test::exposition_reader::read(head + "a{x=\"1\"} 1\na{x=\"2\"} NaN\n"));
  for (const char* bad :
       {"", "a 1", "b 1\n", "a{x=\"1} 1\n", "a{x=\"\\t\"} 1\n", "a{x=1} 1\n", "a 1\na 1\n", "a one\n",
        "a{9=\"1\"} 1\n", "a_sum 1\n", "a{x=\"1\",x=\"2\"} 1\n", "a 1\n# HELP a b\n# TYPE a gauge\na 2\n"}) {
    CHECK_FALSE(test::exposition_reader::read(head + bad));
  }
}

TEST_CASE("reports of a monitor have all of its series") {
  monitor m({.threads = 1});
  CHECK(to_prometheus(m).empty());
  m.add_series("one").record(1500);
  m.add_series("two");
  CHECK(to_text(m).find("one") != std::string::npos);
  CHECK(to_json(m).find("\"name\":\"two\"") != std::string::npos);
  CHECK(test::json_reader::accepts(to_json(m)));
  const auto read = test::exposition_reader::read(to_prometheus(m));
  REQUIRE(read);
  CHECK(read->at("alidade_latency_seconds", "alidade_latency_seconds_sum", {{"series", "one"}}) == 1.5e-6);
  std::error_code ec;
  CHECK(to_prometheus(m, {.prefix = "-"}, ec).empty());
  CHECK(ec == alidade::errc::invalid_option);
}
