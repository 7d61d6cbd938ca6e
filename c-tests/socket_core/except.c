/* Except.h: what TRY, EXCEPT, ELSE, FINALLY, END_TRY, RAISE, RERAISE and RETURN do, each in the places where programs have it. */
#include "../harness.h"
#include "core/Except.h"

static const Except_T First = {&First, "the first"};
static const Except_T Second = {&Second, "the second"};

static int raises(const Except_T *e) {
    Except_raise(e, "elsewhere.c", 7);
    return 1;
}

TEST(a_body_that_raises_nothing_runs_to_its_end) {
    volatile int ran = 0;
    TRY
        int local = 1;
        ran += local;
    EXCEPT (First)
        ran += 10;
    ELSE
        ran += 100;
    FINALLY
        ran += 1000;
    END_TRY;
    CHECK_INT(ran, 1001);
    CHECK_PTR_NULL(Except_stack);
}

TEST(the_clause_with_the_type_takes_it) {
    volatile int taken = 0;
    TRY
        RAISE(Second);
        taken = -1;
    EXCEPT (First)
        taken = 1;
    EXCEPT (Second)
        taken = 2;
        CHECK_PTR(Except_frame.exception->type, &Second);
        CHECK_STR(Except_frame.exception->reason, "the second");
        CHECK_STR(Except_frame.file, __FILE__);
        CHECK_CMP(Except_frame.line, >, 0);
        CHECK_INT(Except_flag, Except_handled);
    ELSE
        taken = 3;
    END_TRY;
    CHECK_INT(taken, 2);
}

TEST(the_first_of_two_clauses_with_the_same_type_takes_it) {
    volatile int taken = 0;
    TRY { RAISE(First); }
    EXCEPT (First) { taken += 1; }
    EXCEPT (First) { taken += 10; }
    END_TRY;
    CHECK_INT(taken, 1);
}

TEST(else_takes_what_no_clause_has) {
    volatile int taken = 0;
    TRY
        raises(&Second);
    EXCEPT (First)
        taken = 1;
    ELSE
        taken = 2;
        CHECK_STR(Except_frame.file, "elsewhere.c");
        CHECK_INT(Except_frame.line, 7);
    END_TRY;
    CHECK_INT(taken, 2);
}

TEST(what_nobody_takes_goes_outward_after_finally) {
    volatile int order = 0;
    TRY
        TRY
            raises(&Second);
        EXCEPT (First)
            order = -1;
        FINALLY
            order = order * 10 + 1;
        END_TRY;
        order = -2;
    EXCEPT (Second)
        order = order * 10 + 2;
        /* As it was raised. */
        CHECK_STR(Except_frame.file, "elsewhere.c");
        CHECK_INT(Except_frame.line, 7);
    FINALLY
        order = order * 10 + 3;
    END_TRY;
    CHECK_INT(order, 123);
    CHECK_PTR_NULL(Except_stack);
}

TEST(a_statement_may_have_no_clause) {
    volatile int caught = 0, ran = 0;
    TRY
        TRY ran++; END_TRY;
        TRY { raises(&First); } END_TRY;
    ELSE caught = 1;
    END_TRY;
    CHECK_INT(caught, 1);
    CHECK_INT(ran, 1);
    TRY ran++; FINALLY ran++; END_TRY;
    CHECK_INT(ran, 3);
}

TEST(clauses_may_be_empty_and_on_one_line) {
    volatile int x = 0;
    TRY x = raises(&First); EXCEPT (First) EXCEPT (Second) { x = 5; } END_TRY;
    CHECK_INT(x, 0);
    TRY x = raises(&Second); EXCEPT (First) EXCEPT (Second) { x = 5; } END_TRY;
    CHECK_INT(x, 5);
    TRY EXCEPT (First) ELSE FINALLY END_TRY;
    if (x)
        TRY raises(&First); ELSE x = 6; END_TRY;
    else
        x = 7;
    CHECK_INT(x, 6);
}

TEST(finally_runs_after_a_handler_but_not_when_it_raises) {
    volatile int finally = 0, outer = 0;
    TRY raises(&First); EXCEPT (First) FINALLY finally++; END_TRY;
    CHECK_INT(finally, 1);
    TRY
        TRY
            raises(&First);
        EXCEPT (First)
            raises(&Second);
        FINALLY
            finally++;
        END_TRY;
    EXCEPT (Second)
        outer++;
    END_TRY;
    CHECK_INT(finally, 1);
    CHECK_INT(outer, 1);
}

TEST(a_raise_in_finally_goes_outward) {
    volatile int outer = 0;
    TRY
        TRY
            raises(&First);
        EXCEPT (First)
        FINALLY
            raises(&Second);
        END_TRY;
        outer = -1;
    EXCEPT (Second)
        outer++;
    END_TRY;
    /* What was not handled is lost to the raise in FINALLY. */
    TRY
        TRY
            raises(&First);
        FINALLY
            raises(&Second);
        END_TRY;
    EXCEPT (First)
        outer = -1;
    EXCEPT (Second)
        outer++;
    END_TRY;
    CHECK_INT(outer, 2);
    CHECK_PTR_NULL(Except_stack);
}

TEST(a_handler_raises_again_what_it_handles) {
    volatile int outer = 0;
    TRY
        TRY
            Except_raise(&First, "deep.c", 99);
        EXCEPT (First)
            RERAISE;
        FINALLY
            outer = -1;
        END_TRY;
    EXCEPT (First)
        outer++;
        CHECK_STR(Except_frame.file, "deep.c");
        CHECK_INT(Except_frame.line, 99);
        CHECK_STR(Except_frame.exception->reason, "the first");
    END_TRY;
    CHECK_INT(outer, 1);
}

TEST(in_a_handler_the_enclosing_frame_is_on_top) {
    TRY
        Except_Frame *const enclosing = Except_stack;
        TRY
            CHECK(Except_stack != enclosing);
            CHECK_PTR(Except_stack->prev, enclosing);
            raises(&First);
        EXCEPT (First)
            CHECK_PTR(Except_stack, enclosing);
            CHECK_PTR_NULL(Except_stack->exception);
        FINALLY
            CHECK_PTR(Except_stack, enclosing);
        END_TRY;
        CHECK_PTR(Except_stack, enclosing);
    END_TRY;
}

/* ---- Objects ------------------------------------------------------------------------------------------------------ */

TEST(a_static_object_of_a_function_is_one) {
    static const Except_T Local = {&Local, "local"};
    volatile int caught = 0;
    TRY RAISE(Local); EXCEPT (Local) caught = 1; END_TRY;
    CHECK_INT(caught, 1);
}

TEST(identity_is_that_of_the_type_not_of_the_raised_object) {
    volatile int caught = 0;
    const Except_T detailed = {&First, "more of it"};
    TRY RAISE(detailed);
    EXCEPT (detailed) caught = -1;
    EXCEPT (First)
        caught = 1;
        CHECK_STR(Except_frame.exception->reason, "more of it");
    END_TRY;
    CHECK_INT(caught, 1);
    CHECK_PTR(Assert_Failed.type, &Assert_Failed);
    CHECK_PTR_NOT_NULL(Assert_Failed.reason);
}

TEST(the_reason_stays_while_handlers_handle_other_exceptions) {
    char text[64] = "first words";
    const Except_T outer = {&First, text};
    volatile int caught = 0;
    TRY
        TRY
            RAISE(outer);
        EXCEPT (First)
            strcpy(text, "second words");
            TRY
                raises(&Second);
            EXCEPT (Second)
                CHECK_STR(Except_frame.exception->reason, "the second");
                caught++;
            END_TRY;
            CHECK_PTR(Except_frame.exception->type, &First);
            CHECK_STR(Except_frame.exception->reason, "first words");
            RERAISE;
        END_TRY;
    EXCEPT (First)
        CHECK_STR(Except_frame.exception->reason, "first words");
        caught++;
    END_TRY;
    CHECK_INT(caught, 2);
}

TEST(a_reason_is_copied_up_to_1023_bytes_and_kept_by_address_above) {
    static char text[2000];
    for (volatile size_t length = 1022; length <= 1025; length++) {
        memset(text, 'x', sizeof text);
        text[length] = '\0';
        const Except_T raised = {&First, text};
        TRY RAISE(raised);
        EXCEPT (First)
            CHECK_INT(strlen(Except_frame.exception->reason), length);
            CHECK_INT(Except_frame.exception->reason == text, length > 1023);
        END_TRY;
    }
}

TEST(no_reason_and_no_place_are_no_harm) {
    const Except_T silent = {&First, NULL};
    TRY Except_raise(&silent, NULL, -5);
    EXCEPT (First)
        CHECK_PTR_NULL(Except_frame.exception->reason);
        CHECK_STR(Except_frame.file, "unknown");
        CHECK_INT(Except_frame.line, 0);
    END_TRY;
}

TEST_MAIN
