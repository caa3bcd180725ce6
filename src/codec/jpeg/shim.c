/* The JPEG library reports errors by a call that must not return, so whoever calls it needs setjmp. Everything here
 * catches that, frees what it took, and answers with a code. Rust decides what is asked; nothing is decided here. */

#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

enum { DONE = 0, FAILED = 1 };

/* Called now and then during the work; anything but 0 ends it. */
typedef int (*imgforge_stop)(void *data);

struct guard {
    struct jpeg_error_mgr errors; /* first: the library hands back a pointer to it */
    jmp_buf jump;
};

struct progress {
    struct jpeg_progress_mgr base; /* first, as above */
    imgforge_stop stop;
    void *data;
    int most_scans;
};

static void leave(j_common_ptr info) {
    longjmp(((struct guard *)info->err)->jump, 1);
}

/* A warning says that the file is damaged. */
static void on_message(j_common_ptr info, int level) {
    if (level < 0) {
        leave(info);
    }
}

static void print_nothing(j_common_ptr info) { (void)info; }

static struct jpeg_error_mgr *guarded(struct guard *guard) {
    struct jpeg_error_mgr *errors = jpeg_std_error(&guard->errors);
    errors->error_exit = leave;
    errors->emit_message = on_message;
    errors->output_message = print_nothing;
    return errors;
}

static void on_progress(j_common_ptr info) {
    struct progress *progress = (struct progress *)info->progress;
    if (progress->stop(progress->data)) {
        leave(info);
    }
    if (info->is_decompressor && ((j_decompress_ptr)info)->input_scan_number > progress->most_scans) {
        leave(info);
    }
}

/* What to decode, and where to. */
struct imgforge_jpeg_decode {
    const unsigned char *bytes;
    size_t length;
    int shrink;          /* 1, 2, 4 or 8 */
    int components;      /* 1: grey, 3: RGB */
    unsigned int width;  /* of the result, at most what the shrunk picture has */
    unsigned int height; /* likewise */
    unsigned char *pixels;
    int most_scans;
    int smooth; /* guess what missing scans would say */
    imgforge_stop stop;
    void *data;
};

struct decoder {
    struct guard guard;
    struct progress progress;
    struct jpeg_decompress_struct info;
};

static int decode(struct decoder *decoder, const struct imgforge_jpeg_decode *job) {
    struct jpeg_decompress_struct *info = &decoder->info;
    if (setjmp(decoder->guard.jump)) {
        return FAILED;
    }
    jpeg_create_decompress(info);
    decoder->progress.base.progress_monitor = on_progress;
    decoder->progress.stop = job->stop;
    decoder->progress.data = job->data;
    decoder->progress.most_scans = job->most_scans;
    info->progress = &decoder->progress.base;
    jpeg_mem_src(info, (unsigned char *)job->bytes, (unsigned long)job->length);
    jpeg_read_header(info, TRUE);
    if (info->data_precision != 8) {
        return FAILED;
    }
    info->scale_num = 1;
    info->scale_denom = (unsigned int)job->shrink;
    info->do_block_smoothing = job->smooth ? TRUE : FALSE;
    jpeg_start_decompress(info);
    if (info->output_components != job->components || info->output_width < job->width ||
        info->output_height < job->height) {
        return FAILED;
    }
    const size_t stride = (size_t)job->width * (size_t)job->components;
    const size_t row = (size_t)info->output_width * (size_t)info->output_components;
    JSAMPARRAY spare = (*info->mem->alloc_sarray)((j_common_ptr)info, JPOOL_IMAGE, (JDIMENSION)row, 1);
    while (info->output_scanline < job->height) {
        unsigned char *target = job->pixels + stride * info->output_scanline;
        JSAMPROW direct = target;
        /* A row that is wider than the result would run into the next, or out of the buffer. */
        if (row == stride) {
            jpeg_read_scanlines(info, &direct, 1);
        } else if (jpeg_read_scanlines(info, spare, 1) == 1) {
            memcpy(target, spare[0], stride);
        }
    }
    return DONE;
}

int imgforge_jpeg_decode(const struct imgforge_jpeg_decode *job) {
    struct decoder decoder;
    memset(&decoder, 0, sizeof decoder);
    decoder.info.err = guarded(&decoder.guard);
    const int answer = decode(&decoder, job);
    jpeg_destroy_decompress(&decoder.info);
    return answer;
}

/* A segment to write before the picture. */
struct imgforge_jpeg_segment {
    int marker; /* 0xE0 to 0xEF, 0xFE */
    const unsigned char *bytes;
    unsigned int length; /* at most 65533 */
};

/* What to encode. */
struct imgforge_jpeg_encode {
    const unsigned char *pixels;
    unsigned int width;
    unsigned int height;
    int components; /* 1: grey, 3: RGB */
    int quality;    /* 1 to 100 */
    int progressive;
    int across; /* pixels that share a colour horizontally, 1 to 4 */
    int down;   /* likewise vertically */
    unsigned int restart_interval; /* 0: none */
    const struct imgforge_jpeg_segment *segments;
    size_t segment_count;
    imgforge_stop stop;
    void *data;
};

struct target {
    struct jpeg_destination_mgr base; /* first, as above */
    unsigned char *bytes;
    size_t capacity;
    size_t length;
};

struct encoder {
    struct guard guard;
    struct progress progress;
    struct target target;
    struct jpeg_compress_struct info;
};

static void grow(j_compress_ptr info, size_t capacity) {
    struct target *target = (struct target *)info->dest;
    unsigned char *bytes = realloc(target->bytes, capacity);
    if (bytes == NULL) {
        leave((j_common_ptr)info);
    }
    target->base.next_output_byte = bytes + target->capacity;
    target->base.free_in_buffer = capacity - target->capacity;
    target->bytes = bytes;
    target->capacity = capacity;
}

static void begin_target(j_compress_ptr info) { grow(info, 16384); }

static boolean full_target(j_compress_ptr info) {
    grow(info, 2 * ((struct target *)info->dest)->capacity);
    return TRUE;
}

static void end_target(j_compress_ptr info) {
    struct target *target = (struct target *)info->dest;
    target->length = target->capacity - target->base.free_in_buffer;
}

static int encode(struct encoder *encoder, const struct imgforge_jpeg_encode *job) {
    struct jpeg_compress_struct *info = &encoder->info;
    if (setjmp(encoder->guard.jump)) {
        return FAILED;
    }
    jpeg_create_compress(info);
    encoder->progress.base.progress_monitor = on_progress;
    encoder->progress.stop = job->stop;
    encoder->progress.data = job->data;
    info->progress = &encoder->progress.base;
    encoder->target.base.init_destination = begin_target;
    encoder->target.base.empty_output_buffer = full_target;
    encoder->target.base.term_destination = end_target;
    info->dest = &encoder->target.base;
    info->image_width = job->width;
    info->image_height = job->height;
    info->input_components = job->components;
    info->in_color_space = job->components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(info);
    info->optimize_coding = TRUE;
    jpeg_set_quality(info, job->quality, TRUE);
    if (job->progressive) {
        jpeg_simple_progression(info);
    }
    info->comp_info[0].h_samp_factor = job->across;
    info->comp_info[0].v_samp_factor = job->down;
    info->restart_interval = job->restart_interval;
    info->write_JFIF_header = FALSE; /* the EXIF block says more */
    jpeg_start_compress(info, TRUE);
    for (size_t i = 0; i < job->segment_count; i++) {
        jpeg_write_marker(info, job->segments[i].marker, job->segments[i].bytes, job->segments[i].length);
    }
    const size_t stride = (size_t)job->width * (size_t)job->components;
    while (info->next_scanline < info->image_height) {
        JSAMPROW row = (unsigned char *)job->pixels + stride * info->next_scanline;
        jpeg_write_scanlines(info, &row, 1);
    }
    jpeg_finish_compress(info);
    return DONE;
}

/* `bytes` comes from malloc and is the caller's to free; it is not set where the answer is not DONE. */
int imgforge_jpeg_encode(const struct imgforge_jpeg_encode *job, unsigned char **bytes, size_t *length) {
    struct encoder encoder;
    memset(&encoder, 0, sizeof encoder);
    encoder.info.err = guarded(&encoder.guard);
    const int answer = encode(&encoder, job);
    jpeg_destroy_compress(&encoder.info);
    if (answer != DONE) {
        free(encoder.target.bytes);
        return answer;
    }
    *bytes = encoder.target.bytes;
    *length = encoder.target.length;
    return DONE;
}
