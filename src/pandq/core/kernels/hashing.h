/* Words of 64 bits, scattered: SplitMix64's finaliser (Steele, Lea and Flood 2014, figure 15). */
#ifndef PANDQ_HASHING_H
#define PANDQ_HASHING_H

#include <stdint.h>

/* Of each word xor `with`. */
static void mix_words(const uint64_t *restrict x, uint64_t with, int64_t n, uint64_t *restrict out)
{
    for (int64_t i = 0; i < n; i++) {
        uint64_t z = (x[i] ^ with) + 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        out[i] = z ^ z >> 31;
    }
}

#endif
