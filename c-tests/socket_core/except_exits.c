/* Except.h: ways out of a TRY, TRYs inside of other statements and of each other, and many of them. */
#include "../harness.h"
#include "core/Except.h"

#include <stdio.h>

static const Except_T First = {&First, "the first"};
static const Except_T Second = {&Second, "the second"};

static int raises(const Except_T *e) {
    Except_raise(e, "elsewhere.c", 7);
    return 1;
}

/* ---- Ways out of a body ------------------------------------------------------------------------------------------- */

static int evaluated_with(Except_Frame *outer) {
    CHECK_PTR(Except_stack, outer);
    return 42;
}
static int returns_by_macro(void) {
    Except_Frame *const outer = Except_stack;
    TRY
        if (outer == outer) RETURN evaluated_with(outer);
    ELSE
        return -1;
    FINALLY
        return -2;
    END_TRY;
    return -3;
}
static void returns_nothing(volatile int *reached) {
    TRY
        *reached = 1;
        RETURN;
    FINALLY
        *reached = -1;
    END_TRY;
    *reached = -2;
}
static int returns_from_a_handler(void) {
    TRY raises(&First);
    EXCEPT (First) RETURN 7;
    END_TRY;
    return -1;
}
static int returns_plainly(int how) {
    TRY
        if (how == 0) return 1;
        if (how == 1) goto out;
        raises(&First);
    EXCEPT (First)
        return 3;
    END_TRY;
    return -1;
out:
    CHECK_PTR_NULL(Except_stack);
    return 2;
}

TEST(return_unlinks_the_frame) {
    volatile int reached = 0;
    CHECK_INT(returns_by_macro(), 42);
    returns_nothing(&reached);
    CHECK_INT(reached, 1);
    CHECK_INT(returns_from_a_handler(), 7);
    CHECK_PTR_NULL(Except_stack);
    TRY
        Except_Frame *const mine = Except_stack;
        CHECK_INT(returns_by_macro(), 42);
        CHECK_INT(returns_from_a_handler(), 7);
        CHECK_PTR(Except_stack, mine);
    END_TRY;
}

TEST(plain_return_and_goto_leave_no_frame_behind) {
    CHECK_INT(returns_plainly(0), 1);
    CHECK_PTR_NULL(Except_stack);
    CHECK_INT(returns_plainly(1), 2);
    CHECK_INT(returns_plainly(2), 3);
    CHECK_PTR_NULL(Except_stack);
}

TEST(break_and_continue_leave_the_statement_alone) {
    volatile int rounds = 0, after = 0, finally = 0;
    for (volatile int i = 0; i < 3; i++) {
        rounds++;
        TRY
            if (i == 0) break;
            if (i == 1) continue;
        FINALLY
            finally++;
        END_TRY;
        CHECK_PTR_NULL(Except_stack);
        after++;
    }
    CHECK_INT(rounds, 3);
    CHECK_INT(after, 3);
    CHECK_INT(finally, 1);
    /* In a handler, too. */
    TRY raises(&First); EXCEPT (First) break; FINALLY finally++; END_TRY;
    CHECK_INT(finally, 1);
}

TEST(an_outer_loop_is_left_by_goto) {
    volatile int i;
    for (i = 0; i < 10; i++)
        TRY
            if (i == 4) goto done;
        ELSE
            FAIL("nothing was raised");
        END_TRY;
done:
    CHECK_INT(i, 4);
    CHECK_PTR_NULL(Except_stack);
}

/* ---- Among other statements --------------------------------------------------------------------------------------- */

static int inside_of_a_switch(int which) {
    volatile int result = 0;
    switch (which) {
    case 1:
        TRY raises(&First); EXCEPT (First) result = 1; END_TRY;
        break;
    case 2:
        TRY
            switch (which) {
            case 2: break;
            default: FAIL("not here");
            }
            result = 2;
        END_TRY;
        break;
    default:
        TRY
            for (volatile int i = 0;; i++)
                if (i == 5) RETURN 3;
        END_TRY;
    }
    return result;
}

TEST(in_and_around_a_switch) {
    CHECK_INT(inside_of_a_switch(1), 1);
    CHECK_INT(inside_of_a_switch(2), 2);
    CHECK_INT(inside_of_a_switch(3), 3);
    CHECK_PTR_NULL(Except_stack);
}

static int raises_while_it_returns(void) {
    volatile int outer = 0;
    TRY
        TRY
            /* The inner frame is gone when this is evaluated, the outer one is not. */
            RETURN raises(&First);
        EXCEPT (First)
            outer = -1;
        END_TRY;
    EXCEPT (First)
        outer++;
    END_TRY;
    return outer;
}
static int returns_through_two(int plainly) {
    TRY
        TRY
            if (plainly) return 8;
            RETURN 9;
        END_TRY;
    END_TRY;
    return -1;
}

TEST(return_through_two_statements) {
    CHECK_INT(raises_while_it_returns(), 1);
    CHECK_INT(returns_through_two(0), 9);
    CHECK_INT(returns_through_two(1), 8);
    CHECK_PTR_NULL(Except_stack);
}

TEST(in_handlers_and_in_finally) {
    volatile int order = 0;
    TRY
        TRY
            raises(&First);
        EXCEPT (First)
            TRY raises(&Second); EXCEPT (Second) order = order * 10 + 1; END_TRY;
            TRY order = order * 10 + 2; FINALLY order = order * 10 + 3; END_TRY;
        FINALLY
            TRY raises(&Second); ELSE order = order * 10 + 4; END_TRY;
        END_TRY;
        if (order == 1234) RAISE(First); else RAISE(Second);
    EXCEPT (First)
        order = order * 10 + 5;
    END_TRY;
    CHECK_INT(order, 12345);
    CHECK_PTR_NULL(Except_stack);
}

/* ---- Many ---------------------------------------------------------------------------------------------------------- */

TEST(nested_in_a_loop) {
    volatile int inner = 0, outer = 0;
    for (volatile int i = 0; i < 1000; i++) {
        TRY
            TRY
                if (i % 2) raises(&First);
                raises(&Second);
            EXCEPT (First)
                inner++;
            END_TRY;
        EXCEPT (Second)
            outer++;
        END_TRY;
    }
    CHECK_INT(inner, 500);
    CHECK_INT(outer, 500);
    CHECK_PTR_NULL(Except_stack);
}

static int deep(int depth) {
    volatile int caught = 0;
    if (depth == 0) raises(&First);
    TRY
        deep(depth - 1);
    EXCEPT (First)
        caught = 1;
    END_TRY;
    /* Each level handles it, and raises it anew. */
    if (caught) raises(&First);
    return 0;
}

TEST(through_many_levels) {
    volatile int caught = 0;
    TRY deep(200); EXCEPT (First) caught = 1; END_TRY;
    CHECK_INT(caught, 1);
}

static long resident_pages(void) {
    long all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK_PTR_NOT_NULL(f);
    CHECK_INT(fscanf(f, "%ld %ld", &all, &resident), 2);
    fclose(f);
    return resident;
}

TEST(a_million_raises_take_no_memory) {
    const int count = small(1000000, 20000);
    volatile long before = 0;
    char *volatile place = NULL;
    for (volatile int i = 0; i < count; i++) {
        TRY raises(&First); EXCEPT (First) FINALLY END_TRY;
        char here;
        if (i == 1000) {
            before = resident_pages();
            place = &here;
        } else if (i > 1000) {
            CHECK(place == &here);
        }
    }
    CHECK_CMP(resident_pages() - before, <=, 256);
}

TEST_MAIN
