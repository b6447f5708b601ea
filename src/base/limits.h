/* Every bound on what comes from outside. Hitting one is CF_E_LIMIT with a text that names it. */
#ifndef CFI_BASE_LIMITS_H
#define CFI_BASE_LIMITS_H

#define CFI_NAME_SIZE_MAX 64              /* layer, network, container names, with the NUL            */
#define CFI_LABEL_SIZE_MAX 256            /* labels, zones and members in hints, with the NUL         */
#define CFI_PATH_SIZE_MAX 4096            /* file names, with the NUL                                 */
#define CFI_LAYER_COUNT_MAX 256
#define CFI_UNIT_COUNT_MAX 1000000        /* neurons in one layer                                     */
#define CFI_FEATURE_COUNT_MAX 16777216    /* values of one activation (channels*height*width)         */
#define CFI_PARAMETER_COUNT_MAX 2000000000LL
#define CFI_BATCH_MAX 65536
#define CFI_THREAD_COUNT_MAX 256
#define CFI_YAML_SIZE_MAX (4u << 20)      /* bytes of one configuration file                          */
#define CFI_YAML_DEPTH_MAX 64
#define CFI_YAML_NODE_COUNT_MAX 100000    /* after alias expansion                                    */
#define CFI_PROBLEM_COUNT_MAX 100         /* mistakes listed in one run                               */
#define CFI_FILE_LAYER_COUNT_MAX 16       /* -f files laid over each other                            */
#define CFI_PERSIST_EVERY_MAX 4096        /* steps                                                    */
#define CFI_SAMPLE_COUNT_MAX 100000000LL
#define CFI_CLASS_COUNT_MAX 65536
#define CFI_TEXT_LENGTH_MAX (64u << 20)
#define CFI_SAFETENSORS_HEADER_SIZE_MAX (1u << 20)

#endif
