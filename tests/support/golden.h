/* golden.h: text goldens.  HL_BLESS=1 rewrites a golden instead of comparing; the difference is then reviewed. */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

/* Compares text with the file tests/<below>; on a difference fails the test, showing the first differing line. */
void golden_check(const char *below, const char *text);

#endif
