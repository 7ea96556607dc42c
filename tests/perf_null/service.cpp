// Compiled three times (see check.cmake): with INSTRUMENTATION 0 there is none at all, with 1 it is a null_monitor's,
// with 2 a monitor's. The first two must give the same machine code. The headers are included by all, and loops count
// down to 0, because otherwise g++ writes some comparisons the other way round: it orders operands by the numbers of
// declarations.
#include <cstddef>

#include <alidade/perf/monitor.hpp>
#include <alidade/perf/null_monitor.hpp>
#include <alidade/perf/scoped_timer.hpp>

double opaque(double);  // in no translation unit: nothing is known of it

namespace {

#if INSTRUMENTATION == 1
using monitor = alidade::perf::null_monitor;
#elif INSTRUMENTATION == 2
using monitor = alidade::perf::monitor;
#endif

class service {
 public:
#if INSTRUMENTATION
  explicit service(monitor& m) : monitor_(m), sums_(m.add_series("sum", {.limits = {.degraded_ns = 1000}})) {}
#endif

  double sum(const double* values, std::size_t n) {
#if INSTRUMENTATION
    alidade::perf::scoped_timer timer(sums_);
#endif
    double result = offset_;
    for (; n != 0; --n) {
      result += opaque(*values++);
#if INSTRUMENTATION
      sums_.record(n);
#endif
    }
#if INSTRUMENTATION
    sums_.record_corrected(timer.stop(), 1000);
    timer.cancel();
    if (monitor_.evaluate() == alidade::perf::health::critical) result = 0;
#endif
    offset_ += 1;
    return result;
  }

 private:
  double offset_ = 0.5;
#if INSTRUMENTATION
  monitor& monitor_;
  [[no_unique_address]] monitor::series sums_;
#endif
};

}  // namespace

double answer(const double* values, std::size_t n) {
#if INSTRUMENTATION
  monitor m({.threads = 1});
  service s(m);
  monitor::prepare_thread();
#else
  service s;
#endif
  double total = 0;
  for (; n != 0; --n) total += s.sum(values++, n);
#if INSTRUMENTATION
  m.visit([&](const alidade::perf::series_snapshot& seen) { total += seen.seconds; });
  if (m.find("sum")) total = 0;
#endif
  return total;
}
