// The limits of this machine: multiply-adds in registers, and bytes from each level of its memory.
//
//   limits THREADS
//
// prints lines of a name, the bytes read repeatedly, and a rate per second. The rate is that of all threads
// together, and the best of several goes (short timed runs): a disturbance can only lower it.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#if defined(__AVX512BF16__) || defined(__AMX_BF16__)
#include <immintrin.h>
#endif
#ifdef __AMX_BF16__
#include <sys/syscall.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr long WIDTH = 64;
#elif defined(__AVX__)
constexpr long WIDTH = 32;
#else
constexpr long WIDTH = 16;
#endif
typedef float Vector __attribute__((vector_size(WIDTH)));
constexpr long LANES = WIDTH / sizeof(float);

// Number of independent sums: more than two units times the four or five cycles of a multiply-add.
constexpr int CHAINS = 12;
// Number of goes; they are short, so that on a shared machine some are not interrupted.
constexpr int GOES = 96;

volatile float opaque_factor = 0.999f, opaque_term = 0.001f;
volatile float sink;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Barrier {
 public:
  explicit Barrier(int count) : count_(count) {}
  void wait() {
    const int phase = phase_;
    if (++waiting_ == count_) {
      waiting_ = 0;
      ++phase_;
    } else {
      while (phase_ == phase) std::this_thread::yield();
    }
  }

 private:
  const int count_;
  std::atomic<int> waiting_{0}, phase_{0};
};

// Returns the seconds of the fastest go, from the first thread's start to the last one's end. Each thread
// calls `make` itself, so that its memory is near it. The work gets the number of the go.
template <typename Make>
double fastest(int threads, Make make) {
  Barrier barrier(threads);
  std::vector<std::vector<double>> starts(threads, std::vector<double>(GOES)), ends = starts;
  std::vector<std::thread> running;
  for (int number = 0; number < threads; ++number) {
    running.emplace_back([&, number] {
      auto work = make();
      work(0);
      for (int go = 0; go < GOES; ++go) {
        barrier.wait();
        starts[number][go] = now();
        work(go);
        ends[number][go] = now();
      }
    });
  }
  for (auto& thread : running) thread.join();
  double least = std::numeric_limits<double>::infinity();
  for (int go = 0; go < GOES; ++go) {
    double start = starts[0][go], end = ends[0][go];
    for (int number = 1; number < threads; ++number) {
      start = std::min(start, starts[number][go]);
      end = std::max(end, ends[number][go]);
    }
    least = std::min(least, end - start);
  }
  return least;
}

// Arithmetic, in operations: a multiply-add is two.

double float32_rate(int threads) {
  constexpr long ROUNDS = 200'000;
  const double seconds = fastest(threads, [] {
    return [](int) {
      const Vector factor = opaque_factor - Vector{}, term = opaque_term - Vector{};
      Vector sums[CHAINS];
      // Each chain reads its start anew: the compiler would merge chains that start alike.
      for (Vector& sum : sums) sum = opaque_term - Vector{};
      for (long round = 0; round < ROUNDS; ++round) {
#pragma GCC unroll 16
        for (int chain = 0; chain < CHAINS; ++chain) sums[chain] = sums[chain] * factor + term;
      }
      float total = 0;
      for (const Vector& sum : sums) total += sum[0];
      sink = total;
    };
  });
  return 2.0 * ROUNDS * CHAINS * LANES * threads / seconds;
}

double bfloat16_rate([[maybe_unused]] int threads) {
  double rate = 0;
#ifdef __AVX512BF16__
  {
    constexpr long ROUNDS = 200'000;
    const double seconds = fastest(threads, [] {
      return [](int) {
        const __m512bh one = _mm512_cvtne2ps_pbh(_mm512_set1_ps(opaque_factor), _mm512_set1_ps(opaque_term));
        __m512 sums[CHAINS];
        for (__m512& sum : sums) sum = _mm512_set1_ps(opaque_term);
        for (long round = 0; round < ROUNDS; ++round) {
#pragma GCC unroll 16
          for (int chain = 0; chain < CHAINS; ++chain) sums[chain] = _mm512_dpbf16_ps(sums[chain], one, one);
        }
        float total = 0;
        for (const __m512& sum : sums) total += sum[0];
        sink = total;
      };
    });
    rate = std::max(rate, 2.0 * ROUNDS * CHAINS * 32 * threads / seconds);
  }
#endif
#ifdef __AMX_BF16__
  constexpr int ASK_FOR_STATE = 0x1023, TILE_DATA = 18;  // of arch_prctl
  if (syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) == 0) {
    constexpr long ROUNDS = 20'000;
    const double seconds = fastest(threads, [] {
      return [](int) {
        struct alignas(64) {
          uint8_t palette = 1, start_row = 0, reserved[14] = {};
          uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
          uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
        } tiles;
        _tile_loadconfig(&tiles);
        _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
        _tile_zero(4); _tile_zero(5); _tile_zero(6); _tile_zero(7);
        for (long round = 0; round < ROUNDS; ++round) {
          _tile_dpbf16ps(0, 4, 6);
          _tile_dpbf16ps(1, 4, 7);
          _tile_dpbf16ps(2, 5, 6);
          _tile_dpbf16ps(3, 5, 7);
        }
        _tile_release();
      };
    });
    rate = std::max(rate, 2.0 * ROUNDS * 4 * 16 * 16 * 32 * threads / seconds);
  }
#endif
  return rate;
}

// Memory

std::shared_ptr<Vector> filled(long vectors) {
  void* memory = std::aligned_alloc(4096, (vectors * WIDTH + 4095) / 4096 * 4096);
  if (!memory) throw std::bad_alloc();
  std::fill_n(static_cast<Vector*>(memory), vectors, opaque_factor - Vector{});
  return {static_cast<Vector*>(memory), std::free};
}

// A thread's work in one go: it passes over all of its memory several times or, if that is large, over the
// next of several slices. A slice is read again only after all others have been through the cache.
struct Plan {
  long vectors, passes, slices;
  Plan(long bytes, long step) {
    constexpr long GO = 2L << 20;
    slices = std::max(1L, bytes / GO);
    passes = std::max(1L, GO / bytes);
    vectors = bytes / slices / (WIDTH * step) * step;
  }
};

double read_rate(int threads, long bytes) {
  constexpr long STEP = 8;  // vectors, each added to a different sum
  const Plan plan(bytes / threads, STEP);
  const double seconds = fastest(threads, [=] {
    return [=, memory = filled(plan.vectors * plan.slices)](int go) {
      Vector sums[STEP] = {};
      const Vector* from = memory.get() + go % plan.slices * plan.vectors;
      for (long pass = 0; pass < plan.passes; ++pass) {
        for (long at = 0; at < plan.vectors; at += STEP) {
#pragma GCC unroll 8
          for (long lane = 0; lane < STEP; ++lane) sums[lane] += from[at + lane];
        }
        asm volatile("" ::: "memory");
      }
      float total = 0;
      for (const Vector& sum : sums) total += sum[0];
      sink = total;
    };
  });
  return static_cast<double>(plan.vectors) * WIDTH * plan.passes * threads / seconds;
}

// McCalpin's triad, counted as he does: two reads and a write.
double triad_rate(int threads, long bytes) {
  const Plan plan(bytes / threads / 3, 1);
  const long all = plan.vectors * plan.slices;
  const double seconds = fastest(threads, [=] {
    return [=, a = filled(all), b = filled(all),
            c = filled(all)](int go) {
      const Vector factor = opaque_factor - Vector{};
      const long start = go % plan.slices * plan.vectors;
      Vector* to = a.get() + start;
      const Vector *first = b.get() + start, *second = c.get() + start;
      for (long at = 0; at < plan.vectors; ++at) to[at] = first[at] + factor * second[at];
      asm volatile("" ::: "memory");
    };
  });
  return 3.0 * plan.vectors * WIDTH * threads / seconds;
}

// Bytes far larger than the last cache, and a small part of the machine's memory.
long largest() {
  long cache = 64L << 20;
#ifdef _SC_LEVEL3_CACHE_SIZE
  cache = std::max(cache, sysconf(_SC_LEVEL3_CACHE_SIZE));
#endif
  return std::min(4 * cache, sysconf(_SC_PHYS_PAGES) / 8 * sysconf(_SC_PAGESIZE));
}

}  // namespace

int main(int count, char** arguments) {
  const int threads = count == 2 ? std::atoi(arguments[1]) : 0;
  if (threads < 1) {
    std::fprintf(stderr, "usage: limits THREADS\n");
    return 2;
  }
  std::printf("float32 0 %.6g\n", float32_rate(threads));
  std::printf("bfloat16 0 %.6g\n", bfloat16_rate(threads));
  for (long bytes = 16L << 10; bytes < largest(); bytes *= 4) {
    std::printf("read %ld %.6g\n", bytes * threads, read_rate(threads, bytes * threads));
  }
  std::printf("read %ld %.6g\n", largest(), read_rate(threads, largest()));
  std::printf("triad %ld %.6g\n", largest(), triad_rate(threads, largest()));
  return 0;
}
